/**
 * Publishes and clones one large file, then edits 1 MiB of it at the start, in the middle and at
 * the end: what goes over the wire, what memory both sides take, and how long it takes beside
 * reading and hashing the file once. git-lfs, if it and lfs-test-server are installed, and git with
 * its defaults do the same, for one edit.
 *
 *   bun scripts/bench/large.ts [--mebibytes 5120] [--without-git]
 *
 * It takes five times the size of the file on the disk of the temporary directory. All goes through
 * a proxy that counts, which costs time where much is sent.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { openCable } from "../cable.ts";
import { goProgram } from "../go-program.ts";
import { startPostgres } from "../postgres.ts";
import { editLargeFile, mebibyte, readingSeconds, writeLargeFile } from "./large-file.ts";
import { run, type Sample } from "./measure.ts";
import { git, gitLfs, pogo, remove, type System, type Wire } from "./systems.ts";

const { values } = parseArgs({
  options: {
    mebibytes: { type: "string", default: "5120" },
    "without-git": { type: "boolean", default: false },
  },
});
const mebibytes = Number(values.mebibytes);
const size = mebibytes * mebibyte;
const offsets = { start: 0, middle: size / 2, end: size - mebibyte };
const root = join(import.meta.dir, "../..");
const binary = join(root, "dist/pogo");
const scratch = mkdtempSync(join(tmpdir(), "pogo-large-"));
let cable: Awaited<ReturnType<typeof openCable>>;
const wire: Wire = async (port) => {
  cable = await openCable(port);
  return cable.port;
};

await run([process.execPath, "scripts/build.ts"], { cwd: root });
try {
  await measurePogo(join(scratch, "pogo"));
  remove(join(scratch, "pogo"));
  const lfs = Bun.which("git-lfs") && goProgram("lfs-test-server");
  if (lfs) await measureOther(await gitLfs(join(scratch, "git-lfs"), lfs, wire));
  remove(join(scratch, "git-lfs"));
  if (!values["without-git"]) await measureOther(await git(join(scratch, "git"), wire));
} finally {
  remove(scratch);
}

async function measurePogo(directory: string): Promise<void> {
  await using postgres = await startPostgres({ durable: true });
  const database = await postgres.createDatabase("large");
  const system = await pogo(directory, binary, database, wire);
  try {
    const work = join(directory, "work");
    const copy = join(directory, "copy");
    const path = writeLargeFile(work, mebibytes);
    readingSeconds(path);
    const reading = readingSeconds(path);
    console.log(
      `one file of ${mebibytes} MiB; to read and hash it takes ${reading.toFixed(1)} s\n`,
    );
    console.log(
      "| job | time | ÷ reading and hashing | sent | received | client's memory | server's until then |",
    );
    console.log("| --- | --- | --- | --- | --- | --- | --- |");
    await row(system, "push", reading, () => system.publish(work));
    await row(system, "clone", reading, () => system.clone(copy));
    const change = await currentChange(work);
    for (const [where, offset] of Object.entries(offsets)) {
      editLargeFile(path, offset);
      await row(system, `push, 1 MiB at the ${where}`, reading, () => system.edit(work));
      await row(system, `pull of that`, reading, () => system.run(copy, ["edit", "-q", change]));
      await run(["cmp", path, join(copy, "large")], { cwd: scratch });
    }
  } finally {
    await close(system);
  }
}

async function measureOther(system: System): Promise<void> {
  const { name } = system;
  const directory = join(scratch, name);
  try {
    const work = join(directory, "work");
    const path = writeLargeFile(work, mebibytes);
    const reading = readingSeconds(path);
    await row(system, `${name}: commit and push`, reading, () => system.publish(work));
    editLargeFile(path, offsets.middle);
    await row(system, `${name}: 1 MiB in the middle`, reading, () => system.edit(work));
  } catch (error) {
    console.log(`${name} cannot: ${(error as Error).message.slice(0, 500)}`);
  } finally {
    await close(system);
  }
}

async function row(
  system: System,
  job: string,
  reading: number,
  work: () => Promise<Sample>,
): Promise<void> {
  const before = cable.counted();
  const { seconds, memoryBytes } = await work();
  const after = cable.counted();
  const cells = [
    job,
    `${seconds.toFixed(1)} s`,
    `${(seconds / reading).toFixed(1)}×`,
    inMebibytes(after.sent - before.sent, 2),
    inMebibytes(after.received - before.received, 2),
    inMebibytes(memoryBytes),
    inMebibytes(system.serverMemoryBytes() ?? 0),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

async function currentChange(work: string): Promise<string> {
  const child = Bun.spawn([binary, "status", "--json"], { cwd: work, stdout: "pipe" });
  const status = (await new Response(child.stdout).json()) as { change: { name: string } };
  return status.change.name;
}

async function close(system: System): Promise<void> {
  await system.close();
  cable[Symbol.dispose]();
}

function inMebibytes(bytes: number, digits = 0): string {
  return `${(bytes / mebibyte).toFixed(digits)} MiB`;
}
