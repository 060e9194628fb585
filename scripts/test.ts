/**
 * `npm test`: builds the executable, finds out what this machine offers, and runs the tests on
 * what people run. What is missing is skipped loudly, or refused where CI is set.
 *
 *   --crash    the long run of tests/crash: 200 kills
 *   --load     the long run of tests/load
 *   --fuzz     the long run of tests/fuzz: five minutes for each decoder
 *   --model    the long run of tests/model
 *   --gc       1,000 epochs of garbage collection beside a model
 *   FILE…      only these, and any option of `bun test`
 */
import { existsSync, statfsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

import { buildForThisMachine } from "./build.ts";
import { postgresPrograms } from "./postgres.ts";
import { prepareDatabases } from "./prepared.ts";
import { s3Program } from "./s3.ts";

const root = join(import.meta.dir, "..");
const given = process.argv.slice(2);
const runs = ["--crash", "--load", "--model", "--fuzz", "--gc"];
const isLong = given.some((word) => runs.includes(word));
const isStrict = Boolean(process.env["CI"]);

/** What some tests need, and what a machine that lacks it does not test. */
const needs: { name: string; found: boolean; missing: string }[] = [
  {
    name: "PostgreSQL 15 or newer",
    found: postgresPrograms() !== undefined,
    missing: "a real PostgreSQL; the embedded one is tested",
  },
  {
    name: "versitygw",
    found: s3Program() !== undefined,
    missing: "objects in S3; .ci/run installs it",
  },
  {
    name: "git",
    found: Bun.which("git") !== null,
    missing: "that diffs apply, and that ignore rules are git's",
  },
  {
    name: "gnome-keyring-daemon and dbus-run-session",
    found: Boolean(Bun.which("gnome-keyring-daemon") && Bun.which("dbus-run-session")),
    missing: "the system's keyring",
  },
  {
    name: "nginx",
    found: Bun.which("nginx") !== null,
    missing: "a server behind a proxy",
  },
  {
    name: "slapd and ldapmodify",
    found: Boolean((Bun.which("slapd") ?? Bun.which("/usr/sbin/slapd")) && Bun.which("ldapmodify")),
    missing: "users of a directory",
  },
  {
    name: "unzip, zstd and python3",
    found: ["unzip", "zstd", "python3"].every((program) => Bun.which(program) !== null),
    missing: "that others can read the archives",
  },
  { name: "bash", found: Bun.which("bash") !== null, missing: "completion in bash" },
  { name: "zsh", found: Bun.which("zsh") !== null, missing: "completion in zsh" },
  { name: "fish", found: Bun.which("fish") !== null, missing: "completion in fish" },
];

const absent = needs.filter(({ found }) => !found);
for (const { name, missing } of absent) console.error(`SKIPPED for want of ${name}: ${missing}`);
if (isStrict && absent.length > 0) {
  console.error("CI is set: nothing may be skipped");
  console.log("0 passed, 1 failed");
  process.exit(1);
}

// A disk would mostly be waited for.
const memory = memoryDirectory();
if (memory !== undefined) process.env["TMPDIR"] ??= memory;
const program = await buildForThisMachine();
const prepared = await prepareDatabases(program);
// Some of what they do is waiting, for one another's processes and for what is to fail.
const workers = availableParallelism() + 1;
const results = join(root, "dist", "test-results.xml");
const child = Bun.spawn(
  [process.execPath, "test", `--parallel=${workers}`, ...selection(), ...reporter()],
  {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      ...prepared.environment,
      POGO_TEST_PROGRAM: program,
      // To optimise the embedded database's code takes longer than it then lives.
      ...(!isLong && { BUN_JSC_useOMGJIT: "0" }),
      ...(given.includes("--crash") && { POGO_TEST_KILLS: "200" }),
      ...(given.includes("--gc") && { POGO_TEST_EPOCHS: "1000" }),
      ...(given.includes("--fuzz") && { POGO_TEST_FUZZ: "300" }),
      ...((given.includes("--load") || given.includes("--model")) && { POGO_TEST_LOAD: "full" }),
    },
  },
);
const exitCode = await child.exited;
await prepared[Symbol.asyncDispose]();
const { passed, failed, skipped } = await counts();
for (const { name, missing } of absent) console.log(`SKIPPED for want of ${name}: ${missing}`);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(exitCode === 0 && failed > 0 ? 1 : exitCode);

/** A directory that is in memory, if this machine has one with room for all tests. */
function memoryDirectory(): string | undefined {
  const directory = "/dev/shm";
  if (!existsSync(directory)) return undefined;
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize > 8 * 1024 ** 3 ? directory : undefined;
}

function reporter(): string[] {
  return ["--reporter=junit", `--reporter-outfile=${results}`];
}

function selection(): string[] {
  const others = given.filter((word) => !runs.includes(word));
  if (given.includes("--gc")) return ["tests/server/gc-random.test.ts", ...others];
  if (given.includes("--crash")) return ["tests/crash", "--timeout=3600000", ...others];
  if (given.includes("--load")) return ["tests/load", "--timeout=3600000", ...others];
  if (given.includes("--fuzz")) return ["tests/fuzz", "--timeout=3600000", ...others];
  if (given.includes("--model")) return ["tests/model", "--timeout=3600000", ...others];
  // What takes a second takes ten on a busy machine.
  return ["--timeout=60000", ...others];
}

async function counts(): Promise<{ passed: number; failed: number; skipped: number }> {
  const text = await Bun.file(results)
    .text()
    .catch(() => "");
  const totals = /<testsuites [^>]*>/.exec(text)?.[0] ?? "";
  const number = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(totals)?.[1] ?? 0);
  const [tests, failures, skipped] = [number("tests"), number("failures"), number("skipped")];
  // A file that does not even load has no test case that could fail.
  const failed = failures === 0 && exitCode !== 0 ? 1 : failures;
  return { passed: tests - failures - skipped, failed, skipped };
}
