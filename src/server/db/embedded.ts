import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { Duplex } from "node:stream";

import type postgres from "postgres";

import { PogoError } from "#core/errors.ts";
import { lockFile } from "../file-lock.ts";
import type { EmbeddedAnswer, EmbeddedRequest } from "./embedded-worker.ts";

/** A PostgreSQL of this process's own. */
export type Embedded = AsyncDisposable & {
  /**
   * What postgres.js needs to reach it: one connection, for ever. More would gain nothing, as one
   * backend serves all, and would break: a statement is several messages, and those of two
   * connections would mix.
   */
  options: postgres.Options<Record<string, postgres.PostgresType>> & {
    socket: () => Promise<Duplex>;
  };
  /** Writes a copy of the data directory as a gzipped tar. */
  dump(path: string): Promise<void>;
};

/** Opens the embedded database in a directory, which is created if need be, and keeps it locked. */
export async function openEmbedded(directory: string): Promise<Embedded> {
  await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
  const lock = lockFile(`${directory}.lock`);
  if (!lock) {
    throw new PogoError("unavailable", `data directory ${directory} is in use by another server`, {
      hint: "stop that server, or give this one another directory with --data",
    });
  }
  const host = new WorkerHost();
  try {
    await host.ask({ kind: "open", directory });
  } catch (error) {
    host.terminate();
    lock[Symbol.dispose]();
    throw new PogoError("unavailable", `cannot open the database in ${directory}`, {
      hint: "start the server with -v to see why",
      cause: error,
    });
  }
  return {
    options: {
      user: "postgres",
      database: "postgres",
      max: 1,
      idle_timeout: 0,
      max_lifetime: null,
      socket: () => host.connect(),
    },
    dump: (path) => host.ask({ kind: "dump", path }),
    async [Symbol.asyncDispose]() {
      await host.ask({ kind: "close" }).catch(() => {});
      host.terminate();
      lock[Symbol.dispose]();
    },
  };
}

// In the executable this file is part of main.ts, while the worker is a file of its own.
const workerPath = Bun.isStandaloneExecutable
  ? "./src/server/db/embedded-worker.ts"
  : "./embedded-worker.ts";

/** The worker's other side: one request at a time, and at most one connection. */
class WorkerHost {
  #worker = new Worker(new URL(workerPath, import.meta.url));
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #connection: Connection | undefined;
  #failure: Error | undefined;

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<Uint8Array | EmbeddedAnswer>) => {
      if (data instanceof Uint8Array) this.#connection?.push(Buffer.from(data.buffer));
      else if (data.kind === "failed") this.#fail(new Error(data.error));
      else this.#settle(data.error);
    };
    this.#worker.onerror = (event) => this.#fail(new Error(event.message));
  }

  ask(request: EmbeddedRequest): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#worker.postMessage(request);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async connect(): Promise<Duplex> {
    if (this.#failure) {
      throw new PogoError("unavailable", "the embedded database has stopped", {
        hint: "restart the server",
        cause: this.#failure,
      });
    }
    if (this.#connection) throw new Error("the embedded database has one connection at a time");
    const connection = new Connection((bytes) => this.#worker.postMessage(bytes));
    this.#connection = connection;
    connection.once("close", () => {
      this.#connection = undefined;
    });
    await this.ask({ kind: "reset" });
    return connection;
  }

  terminate(): void {
    this.#connection?.destroy();
    this.#worker.terminate();
  }

  #settle(error: string | undefined): void {
    const waiting = this.#waiting.shift();
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(new Error(error));
  }

  #fail(error: Error): void {
    this.#failure = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    this.#connection?.destroy(error);
  }
}

/** The stream that the driver takes for a socket. */
class Connection extends Duplex {
  constructor(send: (bytes: Uint8Array) => void) {
    super({
      read() {},
      write(chunk: Uint8Array, _encoding, written) {
        send(chunk);
        written();
      },
      final(finished) {
        this.push(null);
        // Nobody reads it to its end, and the driver waits for it to close.
        this.destroy();
        finished();
      },
    });
  }

  get readyState(): string {
    return this.destroyed ? "closed" : "open";
  }
}
