/** A server is backed up, wiped, and restored into another kind of store: a clone is the same. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";

import { objectBytesMax } from "#core/limits.ts";
import { s3Program } from "../../scripts/s3.ts";
import { openPogo } from "../support/pogo.ts";
import { createDatabase, engines, startMs, temporaryDirectory } from "../support/postgres.ts";
import { randomBytes } from "../support/random.ts";
import { startS3 } from "../support/s3.ts";
import { startTestServer, testRootToken } from "../support/server.ts";
import { plainFiles, readFiles, writeFiles, type Files } from "../support/workspace.ts";

setDefaultTimeout(startMs);

const s3 = s3Program() ? await startS3() : undefined;
afterAll(() => s3?.[Symbol.asyncDispose]());
const bucket = s3?.bucket("objects");
const environment: Record<string, string> = bucket
  ? {
      S3_ENDPOINT: bucket.endpoint!,
      AWS_ACCESS_KEY_ID: bucket.accessKeyId,
      AWS_SECRET_ACCESS_KEY: bucket.secretAccessKey,
    }
  : {};

const files: Files = {
  large: randomBytes(7, objectBytesMax + 1),
  "d/e/text": "some text\n".repeat(50),
  "d/the same": "some text\n".repeat(50),
  empty: "",
  run: { run: "#!/bin/sh\n" },
  link: { link: "d" },
};

type Kind = "a bucket with a cache" | "a bucket" | "volumes" | "a disk";

/** Says to a server where its objects are. */
function storeOptions(kind: Kind, home: string, prefix: string) {
  if (kind === "a disk") return {};
  const volumes = [1, 2, 3].map((number) => join(home, `volume-${number}`));
  if (kind === "volumes") return { objects: volumes.join(",") };
  const objects = `s3://objects/${prefix}/${kind.replaceAll(" ", "-")}`;
  return kind === "a bucket" ? { objects, cacheBytesMax: 0 } : { objects };
}

const key = `id: ${Buffer.alloc(32, 7).toString("base64")}`;
const rounds: [string, string | undefined, Kind[]][] = [
  ["plain", undefined, ["a bucket", "a disk"]],
  ["sealed", key, ["a bucket with a cache", "a disk", "volumes", "a bucket"]],
];

test.each(rounds)("%s objects go by way of backups to any store", async (name, keys, all) => {
  await using closing = new AsyncDisposableStack();
  const home = closing.use(temporaryDirectory()).path;
  const backup = join(home, "backup");
  const pogo = closing.use(openPogo({ ...environment, ...(keys && { POGO_KEYS: keys }) }));
  const kinds = bucket ? all : all.filter((kind) => !kind.includes("bucket"));
  let token = "";
  let expected = files;
  for (const [index, kind] of kinds.entries()) {
    const database = engines[0] === "postgres" ? closing.use(await createDatabase()) : undefined;
    const dataDirectory = join(home, `data-${index}`);
    const store = storeOptions(kind, home, name);
    if (index > 0) {
      const restoring = ["admin", "restore", backup, "--data", dataDirectory];
      if (store.objects !== undefined) restoring.push("--objects", store.objects);
      if (database) restoring.push("--database", database.url);
      await pogo.ok(restoring);
    }
    const place = { dataDirectory, databaseUrl: database?.url, ...store, environment, keys };
    await using server = await startTestServer("embedded", place);
    const { url } = server.server;
    const root = { environment: { POGO_SERVER: url, POGO_TOKEN: testRootToken } };
    if (index === 0) {
      await pogo.ok(["init", join(home, "source"), "--server", url, "--name", "game"], root);
      writeFiles(join(home, "source"), files);
      await pogo.ok(["push"], { cwd: join(home, "source"), ...root });
      await pogo.ok(["bookmark", "set", "main"], { cwd: join(home, "source"), ...root });
      token = (await pogo.ok(["token", "create", "laptop"], root)).trim();
    }
    const user = { cwd: join(home, `copy-${index}`), environment: { POGO_TOKEN: token } };
    await pogo.ok(["clone", `${url}/game`, user.cwd], { ...user, cwd: home });
    expect(readFiles(user.cwd)).toEqual(plainFiles(expected));
    const more = { [`more-${index}`]: `${index}` };
    writeFiles(user.cwd, more);
    expected = { ...expected, ...more };
    await pogo.ok(["push"], user);
    await pogo.ok(["bookmark", "set", "main"], user);
    const received = await pogo.json(["backup", backup, "--keep", "2"], root);
    const deleted = { snapshots: index > 1 ? [expect.any(String)] : [], objects: 0 };
    if (index > 0) expect(received).toMatchObject({ sentObjects: 1, lost: [], deleted });
    await server[Symbol.asyncDispose]();
    await rm(dataDirectory, { recursive: true });
  }
});
