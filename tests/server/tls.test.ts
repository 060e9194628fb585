/** Connections that are encrypted, as clients and attackers see them. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createServer, connect as connectPlain, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";

import { isPogoError } from "#core/errors.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { openChannel } from "#rpc/channel.ts";
import { fetchCertificate, fingerprintOf, derOf, type Trust } from "#rpc/trust.ts";
import { openTls } from "#server/tls/identity.ts";
import { selfSign } from "#server/tls/self-signed.ts";
import { engines, startMs, temporaryDirectory } from "../support/postgres.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

let server: TestServer;
let certificate: string;
beforeAll(async () => {
  server = await startTestServer(engines[0]!, { tls: "self-signed" });
  certificate = readFileSync(join(server.dataDirectory, "tls/certificate.pem"), "utf8");
});
afterAll(() => server[Symbol.asyncDispose]());

/** What comes of a call to a server that is trusted so. */
async function outcome(url: string, trust: Trust): Promise<string> {
  const channel = openChannel({ url, token: testRootToken, trust });
  try {
    return (await channel.unary(Auth.getUser, {}, { deadlineMs: 5000 })).name;
  } catch (error) {
    if (!isPogoError(error)) throw error;
    return `${error.code}: ${error.message.replaceAll(new URL(url).host, "HOST")}`;
  } finally {
    channel.close();
  }
}

test("a server makes its certificate once, and keeps the key to itself", async () => {
  const { url, fingerprint } = server.server;
  expect(url).toStartWith("https://");
  expect(fingerprint).toBe(fingerprintOf(derOf(certificate)));
  const key = join(server.dataDirectory, "tls/key.pem");
  expect(statSync(key).mode & 0o777).toBe(0o600);
  const again = await openTls("self-signed", { directory: server.dataDirectory, host: "x" });
  expect(again.fingerprint).toBe(fingerprint!);
  const shown = await fetchCertificate(url, {});
  expect(shown.fingerprint).toBe(fingerprint!);
  expect(shown.pem).toBe(certificate);
  expect(shown.problem).toMatch(/self.signed/i);
});

test("a client believes the authorities, or the one certificate that it was told", async () => {
  const { url } = server.server;
  expect(await outcome(url, { certificate })).toBe("root");
  expect(await outcome(url, { roots: certificate })).toBe("root");
  expect(await outcome(url.replace("127.0.0.1", "localhost"), { roots: certificate })).toBe("root");
  const { cert: other } = await selfSign("127.0.0.1");
  const distrusted = "denied: the certificate of HOST is not trusted: self signed certificate";
  expect(await outcome(url, {})).toBe(distrusted);
  expect(await outcome(url, { roots: other })).toBe(distrusted);
  const replaced = "denied: the certificate of HOST is not the one that was trusted";
  expect(await outcome(url, { certificate: other })).toBe(replaced);
  // Also when an authority vouches for it.
  expect(await outcome(url, { certificate: other, roots: certificate })).toBe(replaced);
});

test("a certificate of another name is not believed", async () => {
  const identity = await selfSign("pogo.invalid");
  const sockets = new Set<Socket>();
  const fake = createTlsServer({ ...identity, ALPNProtocols: ["h2"] }, (socket) => {
    sockets.add(socket);
  });
  await new Promise<void>((done) => fake.listen(0, "127.0.0.2", done));
  const url = `https://127.0.0.2:${(fake.address() as AddressInfo).port}`;
  expect(await outcome(url, { roots: identity.cert })).toMatch(
    /^denied: the certificate of HOST is not trusted: .*127\.0\.0\.2/,
  );
  for (const socket of sockets) socket.destroy();
  fake.close();
});

test("nobody who takes the encryption away gets a token", async () => {
  let received = Buffer.alloc(0);
  const stripping = createServer((socket) => {
    socket.on("data", (bytes) => {
      received = Buffer.concat([received, Buffer.from(bytes)]);
      socket.end("HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\n\r\n");
    });
    socket.on("error", () => {});
  });
  await new Promise<void>((done) => stripping.listen(0, "127.0.0.1", done));
  const url = `https://127.0.0.1:${(stripping.address() as AddressInfo).port}`;
  expect(await outcome(url, { certificate })).toStartWith("unavailable: ");
  expect(received.length).toBeGreaterThan(0);
  expect(received.includes(testRootToken)).toBe(false);
  expect(received.includes("PRI * HTTP/2.0")).toBe(false);
  await expect(fetchCertificate(url, {})).rejects.toThrow("127.0.0.1");
  stripping.close();
});

test("what was agreed on in the handshake decides what a connection speaks", async () => {
  const { host, port } = server.server;
  const say = (protocol: string | undefined, text: string) =>
    new Promise<string>((done) => {
      let heard = "";
      const socket = connectTls(
        { host, port, ca: certificate, ...(protocol && { ALPNProtocols: [protocol] }) },
        () => socket.write(text),
      );
      socket.on("data", (bytes) => {
        heard += bytes.toString("latin1");
        socket.end();
      });
      socket.on("error", () => {});
      socket.on("close", () => done(heard));
    });
  const get = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  expect(await say("http/1.1", get)).toStartWith("HTTP/1.1 200");
  expect(await say(undefined, get)).toStartWith("HTTP/1.1 200");
  expect(await say("h2", get)).not.toContain("HTTP/1.1 200");
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
  expect(await say("http/1.1", preface)).not.toContain("\0\0\0\x04\x01");
});

test("plain text and old protocols get nowhere", async () => {
  const { host, port } = server.server;
  const heard = await new Promise<string>((done) => {
    let text = "";
    const socket = connectPlain(port, host, () => socket.write("GET / HTTP/1.1\r\n\r\n"));
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    socket.on("error", () => {});
    socket.on("close", () => done(text));
  });
  expect(heard).not.toContain("HTTP/1.1");
  const old = await new Promise<string>((done) => {
    const settings = { host, port, ca: certificate, maxVersion: "TLSv1.1" as const };
    const socket = connectTls({ ...settings, minVersion: "TLSv1" }, () => done("connected"));
    socket.on("error", () => done("refused"));
  });
  expect(old).toBe("refused");
});

test("a certificate that is replaced is shown to whoever connects then, a broken one is not", async () => {
  using directory = temporaryDirectory();
  const files = { cert: join(directory.path, "c.pem"), key: join(directory.path, "k.pem") };
  const put = ({ cert, key }: { cert: string; key: string }) => {
    writeFileSync(`${files.cert}.new`, cert);
    renameSync(`${files.cert}.new`, files.cert);
    writeFileSync(`${files.key}.new`, key);
    renameSync(`${files.key}.new`, files.key);
  };
  const first = await selfSign("localhost");
  put(first);
  const source = await openTls(files, { directory: directory.path, host: "localhost" });
  expect(source.isSelfSigned).toBe(false);
  const seen: string[] = [];
  let next = Promise.withResolvers<void>();
  using _ = source.watch(({ cert }) => {
    seen.push(cert);
    next.resolve();
  }, 5);
  const second = await selfSign("localhost");
  put({ cert: second.cert, key: first.key });
  const third = await selfSign("localhost");
  put(third);
  await next.promise;
  expect(seen).toEqual([third.cert]);
  next = Promise.withResolvers<void>();
  put(first);
  await next.promise;
  expect(seen).toEqual([third.cert, first.cert]);
  const wrong = openTls({ cert: files.cert, key: files.cert }, { directory: "", host: "" });
  await expect(wrong).rejects.toThrow("cannot use the certificate");
});
