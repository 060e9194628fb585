import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import type { PeerCertificate } from "node:tls";

import { isPogoError } from "#core/errors.ts";
import { connect, translateDatabaseError } from "#server/db/connect.ts";
import { readDatabaseTls } from "#server/db/database-tls.ts";
import { selfSign } from "#server/tls/self-signed.ts";
import { postgresPrograms, startPostgres } from "../../../scripts/postgres.ts";
import { freePort } from "../../support/free-port.ts";
import { startMs, temporaryDirectory } from "../../support/postgres.ts";

setDefaultTimeout(startMs);

const isEncrypted = (text: string) => {
  const url = new URL(text);
  const tls = readDatabaseTls(url);
  expect(url.searchParams.has("sslmode")).toBe(false);
  return tls !== undefined;
};

test("the way to a database of another machine is encrypted, unless the URL says otherwise", () => {
  expect(isEncrypted("postgres://db.example/pogo")).toBe(true);
  expect(isEncrypted("postgres://db.example/pogo?sslmode=require")).toBe(true);
  expect(isEncrypted("postgres://db.example/pogo?sslmode=disable")).toBe(false);
  for (const local of ["localhost", "127.0.0.1", "[::1]"]) {
    expect(isEncrypted(`postgres://${local}/pogo`)).toBe(false);
    expect(isEncrypted(`postgres://${local}/pogo?sslmode=verify-full`)).toBe(true);
  }
  expect(isEncrypted("postgres://postgres@localhost/pogo?host=/run/postgresql")).toBe(false);
  for (const mode of ["allow", "prefer", "nonsense"]) {
    expect(() => isEncrypted(`postgres://db/pogo?sslmode=${mode}`)).toThrow("read along");
  }
  expect(() => isEncrypted("postgres://db/pogo?sslrootcert=/nothing")).toThrow("cannot be read");
});

test("a certificate of another host is not the database's", () => {
  const problem = (url: string, names: string) => {
    const shown = { subject: {}, subjectaltname: names } as unknown as PeerCertificate;
    return readDatabaseTls(new URL(url))!.checkServerIdentity("localhost", shown);
  };
  expect(problem("postgres://db.example/pogo", "DNS:db.example")).toBeUndefined();
  expect(problem("postgres://db.example/pogo", "DNS:localhost")).toBeInstanceOf(Error);
  expect(problem("postgres://10.0.0.1/pogo", "IP Address:10.0.0.1")).toBeUndefined();
  expect(problem("postgres://10.0.0.1/pogo", "DNS:localhost")).toBeInstanceOf(Error);
});

test.skipIf(!postgresPrograms())("a database is believed by its certificate only", async () => {
  using directory = temporaryDirectory();
  const identity = await selfSign("127.0.0.1");
  const roots = join(directory.path, "roots.pem");
  writeFileSync(roots, identity.cert);
  const port = await freePort();
  await using cluster = await startPostgres({ tls: { port, ...identity } });
  await cluster.createDatabase("pogo");
  const ask = async (query: string, at = port) => {
    const sql = connect(`postgres://postgres@127.0.0.1:${at}/pogo?${query}`);
    try {
      const [row] = await sql<{ ssl: boolean }[]>`
        select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
      return row?.ssl;
    } catch (error) {
      const translated = translateDatabaseError(error);
      if (isPogoError(translated)) return `${translated.code}: ${translated.message}`;
      throw error;
    } finally {
      await sql.end({ timeout: 1 });
    }
  };
  expect(await ask(`sslmode=verify-full&sslrootcert=${roots}`)).toBe(true);
  expect(await ask("sslmode=disable")).toBe(false);
  expect(await ask("sslmode=verify-full")).toMatch(
    /^usage: no secure connection to the database: its certificate is not trusted/,
  );
  expect(await ask("sslmode=require")).toMatch(/^usage: no secure connection/);

  // Somebody in between who says that the database cannot encrypt learns nothing.
  let heard = Buffer.alloc(0);
  const stripping = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      if (heard.length === 0) socket.write("N");
      else socket.end();
      heard = Buffer.concat([heard, Buffer.from(bytes)]);
    });
  });
  await new Promise<void>((done) => stripping.listen(0, "127.0.0.1", done));
  const between = (stripping.address() as AddressInfo).port;
  expect(await ask(`sslmode=verify-full&sslrootcert=${roots}`, between)).toMatch(
    /^(usage|unavailable): /,
  );
  expect(heard.includes("postgres\0")).toBe(false);
  stripping.close();
});
