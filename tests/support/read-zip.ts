/** Reads ZIP archives with programs that are not ours. */
import { join } from "node:path";

import { gather } from "#server/archive/gather.ts";
import type { ArchiveEntry } from "#server/archive/source.ts";
import { zipArchive } from "#server/archive/zip.ts";
import { temporaryDirectory } from "./workspace.ts";

/** Whether this machine has the programs. */
export const canReadZips: boolean = Boolean(Bun.which("python3") && Bun.which("unzip"));

/** When all that is in them was made. */
export const zipTime: Date = new Date("2024-02-29T12:34:57Z");

/** Writes an archive to a file, and reads it with a program that is not ours. */
export async function readZip(entries: ArchiveEntry[], objects: Map<string, Uint8Array>) {
  using directory = temporaryDirectory();
  const file = join(directory.path, "archive.zip");
  const writer = Bun.file(file).writer();
  const source = {
    time: zipTime,
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
