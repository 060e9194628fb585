/** Objects that are damaged on one of two stores are found, put right, and never served. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { PogoError } from "#core/errors.ts";
import { sha256, toHex, type Hash } from "#core/hash.ts";
import { decodeChunkList, decodeObject, inspectObject } from "#core/object.ts";
import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import type { Remote } from "#client/remote.ts";
import type { ServerOptions } from "#server/server.ts";
import { s3Program } from "../../scripts/s3.ts";
import { blobsOf } from "../support/gc-world.ts";
import { engines, startMs, temporaryDirectory } from "../support/postgres.ts";
import { seededRandom } from "../support/random.ts";
import { createRemote, startTestServer, testRootToken } from "../support/server.ts";
import { startS3 } from "../support/s3.ts";

setDefaultTimeout(startMs * 10);

const count = Number(Bun.env["POGO_TEST_OBJECTS"] ?? 60);
const keys = `word: ${Buffer.alloc(32, 7).toString("base64")}`;
const opened = new AsyncDisposableStack();
afterAll(() => opened.disposeAsync());

type Place = {
  options: Partial<ServerOptions>;
  /** The directory in which an object's file is damaged. */
  damaged: string;
  /** Where it is right, as an operator says it. */
  mirror: string;
  /** Makes it, of what is in the store. */
  copy(): void;
};

/** Some texts, and one file in chunks. */
function makeContents(random: () => number): Uint8Array[] {
  const noise = (size: number) => Uint8Array.from({ length: size }, () => random() * 256);
  const texts = Array.from({ length: count - 4 }, (_, index) => {
    if (index % 10 === 0) return noise(100 + Math.floor(random() * 5000));
    return Buffer.from(`line ${index} ${random()}\n`.repeat(1 + Math.floor(random() * 200)));
  });
  return [...texts, noise(5 * 1024 * 1024)];
}

/** Damages files, one kind after the other; says of which objects. */
function damage(directory: string, hashes: readonly Hash[], random: () => number): string[] {
  const kinds = ["gone", "cut", "flipped"] as const;
  const chosen = [...hashes].sort(() => random() - 0.5).slice(0, Math.max(6, hashes.length / 100));
  chosen.forEach((hash, index) => {
    const name = toHex(hash);
    const path = join(directory, name.slice(0, 2), name);
    const bytes = readFileSync(path);
    const kind = kinds[index % kinds.length];
    if (kind === "gone") rmSync(path);
    if (kind === "cut") truncateSync(path, Math.floor(random() * bytes.length));
    if (kind !== "flipped") return;
    const at = Math.floor(random() * bytes.length);
    bytes[at]! ^= 1 << Math.floor(random() * 8);
    writeFileSync(path, bytes);
  });
  return chosen.map(toHex).sort();
}

/** Reads all objects as clients do. Says which could not be had; all else is what it must be. */
async function readAll(remote: Remote, hashes: readonly Hash[]): Promise<string[]> {
  const refused: string[] = [];
  for (const hash of hashes) {
    try {
      for await (const { bytes } of remote.getObjects([hash])) {
        if (inspectObject(bytes).codec === "chunks") decodeChunkList(bytes);
        else decodeObject(hash, bytes);
      }
    } catch (error) {
      if (!(error instanceof PogoError) || error.code !== "corrupt") throw error;
      refused.push(toHex(hash));
    }
  }
  return refused.sort();
}

async function runScene(place: Place): Promise<void> {
  const { seed, random } = seededRandom();
  console.log(`seed ${seed}`);
  await using server = await startTestServer(engines[0]!, place.options);
  const channel = server.channel(testRootToken);
  const remote = await createRemote(channel, "trusted");
  const blobs = makeContents(random).flatMap(blobsOf);
  const hashes = [...new Map(blobs.map(({ hash }) => [toHex(hash), hash])).values()];
  await remote.putObjects(blobs);
  place.copy();
  const broken = damage(place.damaged, hashes, random);
  const verify = async (request: { repair: boolean; from: string }) => {
    const calls = channel.serverStream(Storage.verify, { share: 1, ...request });
    const findings = (await Array.fromAsync(calls)).flatMap((now) => now.findings);
    return findings.map(({ hash, repaired }) => [toHex(hash), repaired]).sort();
  };
  const refused = await readAll(remote, hashes);
  expect(refused.filter((hash) => !broken.includes(hash))).toEqual([]);
  const found = (await verify({ repair: false, from: "" })).map(([hash]) => hash as string);
  // Where the other one is a volume as well, one copy is enough.
  const gone = place.mirror === "" ? broken.filter((hash) => !found.includes(hash)) : [];
  expect(broken.filter((hash) => !found.includes(hash))).toEqual(gone);
  // A file whose chunk is damaged is found as well.
  expect(found.length - broken.length + gone.length).toBeLessThanOrEqual(1);
  const repair = { repair: true, from: place.mirror };
  const [repaired, meanwhile] = await Promise.all([verify(repair), readAll(remote, hashes)]);
  expect(meanwhile.filter((hash) => !found.includes(hash))).toEqual([]);
  expect(repaired).toEqual(found.map((hash) => [hash, true]));
  expect(await verify({ repair: false, from: "" })).toEqual([]);
  expect(await readAll(remote, hashes)).toEqual([]);
  expect((await remote.findMissing(hashes, [])).objects).toEqual([]);
}

function openDirectory(): string {
  return opened.use(temporaryDirectory()).path;
}

describe("objects deleted, cut or flipped on one of two stores", () => {
  test("on a disk, with a mirror", async () => {
    const base = openDirectory();
    const [objects, mirror] = [join(base, "objects"), join(base, "mirror")];
    const copy = () => cpSync(objects, mirror, { recursive: true });
    await runScene({ options: { objects }, damaged: objects, mirror, copy });
  });

  test("encrypted, on volumes that both have everything", async () => {
    const base = openDirectory();
    const volumes = [join(base, "one"), join(base, "two")];
    const [one, two] = volumes as [string, string];
    const copy = () => {
      for (const [from, to] of [
        [one, two],
        [two, one],
      ] as const) {
        for (const name of readdirSync(from)) {
          if (!/^[0-9a-f]{2}$/.test(name)) continue;
          cpSync(join(from, name), join(to, name), { recursive: true });
        }
      }
    };
    const options = { objects: volumes.join(","), keys };
    await runScene({ options, damaged: one, mirror: "", copy });
  });

  test.skipIf(s3Program() === undefined)("in a bucket, with another as a mirror", async () => {
    const s3 = opened.use(await startS3());
    const [main, mirror] = [s3.bucket("main"), s3.bucket("mirror")];
    const environment = {
      AWS_ACCESS_KEY_ID: main.accessKeyId,
      AWS_SECRET_ACCESS_KEY: main.secretAccessKey,
      AWS_ENDPOINT_URL: main.endpoint,
      AWS_REGION: main.region,
    };
    const damaged = s3.pathOf(main, "");
    await runScene({
      options: { objects: `s3://main/${main.prefix}`, environment, cacheBytesMax: 300_000 },
      damaged,
      mirror: `s3://mirror/${mirror.prefix}`,
      copy: () => cpSync(damaged, s3.pathOf(mirror, ""), { recursive: true }),
    });
  });
});

test("what no source has is told, and so is a mirror that is not there", async () => {
  await using server = await startTestServer(engines[0]!);
  const channel = server.channel(testRootToken);
  const remote = await createRemote(channel, "lost");
  const raw = Buffer.from("nobody else has it");
  await remote.putObjects(blobsOf(raw));
  const name = toHex(sha256(raw));
  rmSync(join(server.dataDirectory, "objects", name.slice(0, 2), name));
  const request = { share: 0, repair: true, from: "" };
  const all = await Array.fromAsync(channel.serverStream(Storage.verify, request));
  const findings = all.flatMap((now) => now.findings);
  expect(findings).toMatchObject([
    { problem: "has disappeared from the store", repaired: false, kind: "object" },
  ]);
  const missing = { ...request, from: join(server.dataDirectory, "nowhere") };
  const refused = await Array.fromAsync(channel.serverStream(Storage.verify, missing)).catch(
    (error: PogoError) => error.code,
  );
  expect(refused).toBe("not-found");
});
