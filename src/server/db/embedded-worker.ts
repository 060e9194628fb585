/**
 * The embedded PostgreSQL: PGlite in a worker of its own, so that a long statement does not stall
 * the server. Bytes of PostgreSQL's protocol come in and go out as the worker's messages.
 */
import { closeSync, existsSync, fdatasyncSync, fsyncSync, openSync, readdirSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

import { PGlite, type PGliteOptions } from "@electric-sql/pglite";
import { NodeFS } from "@electric-sql/pglite/nodefs";

// PGlite would look for these beside itself, where nothing is once it stands in the executable.
import initdbWasm from "../../../node_modules/@electric-sql/pglite/dist/initdb.wasm" with { type: "file" };
import fsBundle from "../../../node_modules/@electric-sql/pglite/dist/pglite.data" with { type: "file" };
import pgliteWasm from "../../../node_modules/@electric-sql/pglite/dist/pglite.wasm" with { type: "file" };
import { plannerSettings } from "./planner.ts";
import { completeMessages } from "./protocol-frames.ts";

/** What the worker is told, besides bytes of the protocol. */
export type EmbeddedRequest =
  | { kind: "open"; directory: string }
  | { kind: "reset" }
  | { kind: "dump"; path: string }
  | { kind: "close" };

/** What the worker says, besides bytes of the protocol: each request is answered by `done`. */
export type EmbeddedAnswer =
  | { kind: "done"; error?: string }
  // The database is lost to this process: what it wrote is safe, and recovered when it reopens.
  | { kind: "failed"; error: string };

// Of Emscripten, whose types do not tell.
type Runtime = {
  FS: {
    filesystems: { NODEFS: { stream_ops: Record<string, unknown> } };
    isDir(mode: number): boolean;
  };
};
type HostFile = { nfd: number; node: { mode: number } };

declare const self: Worker;

let database: PGlite | undefined;
let pending: Uint8Array = new Uint8Array(0);
let queue: Promise<void> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<Uint8Array | EmbeddedRequest>) => {
  queue = queue.then(() => (data instanceof Uint8Array ? execute(data) : obey(data)));
};

async function obey(request: EmbeddedRequest): Promise<void> {
  try {
    if (request.kind === "open") database = await open(request.directory);
    else if (request.kind === "reset") await reset();
    else if (request.kind === "dump") await dump(request.path);
    else await database?.close();
    answer({ kind: "done" });
  } catch (error) {
    answer({ kind: "done", error: messageOf(error) });
  }
}

async function execute(bytes: Uint8Array): Promise<void> {
  const { messages, rest } = completeMessages(pending, bytes);
  pending = rest;
  try {
    for (const message of messages) {
      await database?.execProtocolRawStream(message, {
        syncToFs: false,
        onRawData: (data) => {
          // A view of PostgreSQL's memory: it must be copied before anything else runs there.
          const copy = data.slice();
          self.postMessage(copy, [copy.buffer]);
        },
      });
    }
  } catch (error) {
    // PostgreSQL's own errors are bytes of the protocol; this is the machine under it.
    answer({ kind: "failed", error: messageOf(error) });
    database = undefined;
  }
}

/** Makes the session as good as new, for a driver that connects again. */
async function reset(): Promise<void> {
  pending = new Uint8Array(0);
  if (database?.isInTransaction()) await database.exec("rollback");
  await database?.exec("discard all");
  // It does not take them from the driver's startup message.
  for (const [name, value] of Object.entries(plannerSettings)) {
    await database?.exec(`set ${name} = ${value}`);
  }
}

async function dump(path: string): Promise<void> {
  assertOpen(database);
  await Bun.write(path, await database.dumpDataDir("gzip"));
}

async function open(directory: string): Promise<PGlite> {
  if (existsSync(join(directory, "PG_VERSION"))) return await start(directory);
  // A first start that is cut short must leave nothing that a second would take for a database.
  const draft = `${directory}.new`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true, mode: 0o700 });
  const template = Bun.file(templatePath());
  if (await template.exists()) await unpack(template, draft);
  else await (await start(draft)).close();
  await rm(directory, { recursive: true, force: true });
  await rename(draft, directory);
  syncDirectory(dirname(directory));
  return await start(directory);
}

async function start(directory: string): Promise<PGlite> {
  const [pgliteWasmModule, initdbWasmModule] = await Promise.all([
    WebAssembly.compile(await Bun.file(pgliteWasm).arrayBuffer()),
    WebAssembly.compile(await Bun.file(initdbWasm).arrayBuffer()),
  ]);
  const options: PGliteOptions = {
    fs: new DurableFiles(directory),
    fsBundle: Bun.file(fsBundle),
    pgliteWasmModule,
    initdbWasmModule,
    startParams: [
      // PGlite turns fsync off: then a power cut may lose what was acknowledged, or everything.
      ...PGlite.defaultStartParams.filter((parameter) => parameter !== "-F"),
      // The default, fdatasync, does nothing at all in its system calls.
      "-c",
      "wal_sync_method=fsync",
    ],
  };
  return await PGlite.create(options);
}

/** A prepared data directory saves the 3 s of initdb. Without one, initdb runs. */
function templatePath(): string {
  const root = join(import.meta.dir, "../../..");
  return join(root, Bun.isStandaloneExecutable ? "." : "dist", "embedded-template.tar.gz");
}

async function unpack(archive: Blob, directory: string): Promise<void> {
  await new Bun.Archive(await archive.bytes()).extract(directory);
  syncTree(directory);
}

/** Files on the disk, with what PGlite leaves out: a sync that syncs. */
class DurableFiles extends NodeFS {
  override async init(...[database, options]: Parameters<NodeFS["init"]>) {
    const result = await super.init(database, options);
    const preRun = result.emscriptenOpts.preRun;
    if (!Array.isArray(preRun)) throw new Error("PGlite's file system has changed");
    preRun.push((runtime: Runtime) => {
      const operations = runtime.FS.filesystems.NODEFS.stream_ops;
      // What fails here is not caught: after a failed sync nobody knows what is on the disk, and
      // the database must stop, and recover from its log when it is opened again.
      operations["fsync"] = ({ nfd, node }: HostFile) => {
        const isSyncable = process.platform !== "win32" || !runtime.FS.isDir(node.mode);
        if (isSyncable) fdatasyncSync(nfd);
        return 0;
      };
    });
    return result;
  }
}

function syncTree(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else sync(path, "r+");
  }
  syncDirectory(directory);
}

function syncDirectory(path: string): void {
  if (process.platform !== "win32") sync(path, "r");
}

function sync(path: string, flags: string): void {
  const descriptor = openSync(path, flags);
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function assertOpen(open: PGlite | undefined): asserts open is PGlite {
  if (!open) throw new Error("the embedded database is not open");
}

function answer(message: EmbeddedAnswer): void {
  self.postMessage(message);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
