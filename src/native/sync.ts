/**
 * syncfs(2): one flush makes thousands of new files durable, where an fsync of each would take
 * minutes. It exists on Linux only, and no JavaScript runtime offers it.
 */
import { dlopen, ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";

const functions = {
  syncfs: { args: ["i32"], returns: "i32" },
  pthread_create: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  pthread_tryjoin_np: { args: ["u64", "ptr"], returns: "i32" },
} as const;

type Libc = ReturnType<typeof dlopen<typeof functions>>["symbols"];

const pollMs = 1;
let opened: { libc: Libc | undefined } | undefined;

/**
 * Flushes the file system that holds `directory`, without blocking this thread. False where the
 * system has no such call: the caller then syncs file by file.
 */
export async function syncFileSystem(directory: string): Promise<boolean> {
  opened ??= { libc: openLibc() };
  const { libc } = opened;
  if (!libc) return false;
  const fd = openSync(directory, "r");
  try {
    const result = await callOnThread(libc, fd);
    // errno is the other thread's, and gone with it. What syncfs reports is a failed write-back.
    if (result !== 0) throw Object.assign(new Error("EIO: sync failed"), { code: "EIO" });
    return true;
  } finally {
    closeSync(fd);
  }
}

/**
 * Runs `syncfs(fd)` on a thread of its own. A C function of one integer is callable as a thread's
 * start routine, so no worker and no JavaScript is needed there.
 */
async function callOnThread(libc: Libc, fd: number): Promise<number> {
  // Over an ArrayBuffer: what a small array points to may move.
  const thread = new BigUint64Array(new ArrayBuffer(8));
  const result = new BigInt64Array(new ArrayBuffer(8));
  const { ptr: entry } = libc.syncfs as unknown as { ptr: number };
  const argument = fd as unknown as Parameters<Libc["pthread_create"]>[3];
  if (libc.pthread_create(ptr(thread), null, entry as typeof argument, argument) !== 0) {
    return libc.syncfs(fd);
  }
  while (libc.pthread_tryjoin_np(thread[0] ?? 0n, ptr(result)) !== 0) await Bun.sleep(pollMs);
  return Number(BigInt.asIntN(32, result[0] ?? -1n));
}

function openLibc(): Libc | undefined {
  if (process.platform !== "linux") return undefined;
  const architecture = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const name of ["libc.so.6", `libc.musl-${architecture}.so.1`]) {
    try {
      return dlopen(name, functions).symbols;
    } catch {
      // The other C library, or one too old to have these: glibc before 2.34 keeps threads apart.
    }
  }
  return undefined;
}
