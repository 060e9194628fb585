/** What ZIP had no room for at first, and that archives are read no faster than they are taken. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";

import { sha256 } from "#core/hash.ts";
import { objectBytesMax, readAheadBytes } from "#core/limits.ts";
import { encodeChunkList, encodeObject } from "#core/object.ts";
import { gather } from "#server/archive/gather.ts";
import type { ArchiveEntry } from "#server/archive/source.ts";
import { tarArchive } from "#server/archive/tar.ts";
import { zipArchive } from "#server/archive/zip.ts";
import { temporaryDirectory } from "../../support/workspace.ts";

setDefaultTimeout(600_000);

const time = new Date("2024-02-29T12:34:57Z");

/** Writes an archive to a file, and reads it with a program that is not ours. */
async function readBack(entries: ArchiveEntry[], objects: Map<string, Uint8Array>) {
  using directory = temporaryDirectory();
  const file = join(directory.path, "archive.zip");
  const writer = Bun.file(file).writer();
  const source = {
    time,
    entries: async function* () {
      yield* entries;
    },
    get: async (hash: Uint8Array) => objects.get(hash.toHex())!,
  };
  for await (const piece of gather(zipArchive(source), 1024 * 1024)) {
    writer.write(piece);
    await writer.flush();
  }
  await writer.end();
  const program = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    all = archive.infolist()
    print(len(all), all[-1].filename, sum(each.file_size for each in all), all[-1].date_time)
`;
  await using child = Bun.spawn(["python3", "-c", program, file], { stdout: "pipe" });
  const listed = await child.stdout.text();
  await using unzip = Bun.spawn(["unzip", "-tqq", file], { stdout: "pipe" });
  return { listed: listed.trim(), tested: `${await unzip.stdout.text()}${await unzip.exited}` };
}

test.each([
  ["zip", zipArchive, (piece: Uint8Array) => piece],
  ["tar.zst", tarArchive, (piece: Uint8Array) => Bun.zstdDecompressSync(piece)],
] as const)("no more is read for a %s than a little ahead", async (_, write, unpacked) => {
  const raw = crypto.getRandomValues(new Uint8Array(65_536));
  const encoded = encodeObject(raw, "raw");
  const hash = sha256(raw);
  let begun = 0;
  const source = {
    time,
    entries: async function* () {
      for (let index = 0; index < 10_000; index++) {
        const file = { kind: "file", executable: false, size: raw.length, hash } as const;
        yield { ...file, path: `f${index}` };
      }
    },
    get: async () => {
      begun++;
      return encoded;
    },
  };
  let taken = 0;
  for await (const piece of write(source)) {
    taken += unpacked(piece).length;
    expect(begun * raw.length - taken).toBeLessThan(readAheadBytes + objectBytesMax);
    if (taken > 4 * readAheadBytes) break;
  }
});

const hasReaders = Bun.which("python3") && Bun.which("unzip");

test.if(Boolean(hasReaders))("more members than 16 bits count", async () => {
  const empty = new Uint8Array(0);
  const hash = sha256(empty);
  const entries = Array.from({ length: 65_600 }, (_, index) => {
    return { kind: "file", path: `f${index}`, executable: false, size: 0, hash } as const;
  });
  const objects = new Map([[hash.toHex(), encodeObject(empty)]]);
  expect(await readBack(entries, objects)).toEqual({
    listed: "65600 f65599 0 (2024, 2, 29, 12, 34, 56)",
    tested: "0",
  });
});

// Gigabytes take a while.
const isLong = Boolean(process.env["POGO_TEST_LOAD"]);
test.if(Boolean(hasReaders) && isLong)("larger members than 32 bits count", async () => {
  const raw = new Uint8Array(objectBytesMax);
  const chunk = { hash: sha256(raw), size: raw.length };
  const list = encodeChunkList(Array.from({ length: 1030 }, () => chunk));
  const size = 1030 * objectBytesMax;
  const small = Buffer.from("after it");
  const name = sha256(Buffer.from("any"));
  const objects = new Map([
    [chunk.hash.toHex(), encodeObject(raw)],
    [name.toHex(), list],
    [sha256(small).toHex(), encodeObject(small)],
  ]);
  const file = { kind: "file", executable: false } as const;
  const entries = [
    { ...file, path: "large", size, hash: name },
    { ...file, path: "small", size: small.length, hash: sha256(small) },
  ];
  expect(await readBack(entries, objects)).toEqual({
    listed: `2 small ${size + small.length} (2024, 2, 29, 12, 34, 56)`,
    tested: "0",
  });
});
