/** The real server as a process, to be killed and started again. */
import type { Subprocess } from "bun";

import { userEnvironment, program } from "./pogo.ts";

export const rootToken = "root-token-of-the-tests";

export type Serving = AsyncDisposable & {
  url: string;
  pid: number;
  /** What it has said on stderr. */
  complaints(): string;
  /** Ends it, at once unless told otherwise, and waits until it is gone. */
  stop(signal?: "SIGKILL" | "SIGTERM"): Promise<number | null>;
};

export type ServingOptions = {
  home: string;
  data: string;
  databaseUrl?: string | undefined;
  /** More options of `pogo serve`. */
  options?: string[];
  /** A command that runs the program. */
  through?: string[];
};

/** Starts a server on a free port and waits until it listens. */
export async function startServing({
  home,
  data,
  databaseUrl,
  options = [],
  through = [],
}: ServingOptions): Promise<Serving> {
  const command = [
    ...through,
    ...program,
    "serve",
    "--data",
    data,
    "--listen",
    "127.0.0.1:0",
    ...options,
  ];
  if (databaseUrl !== undefined) command.push("--database", databaseUrl);
  const child = Bun.spawn(command, {
    cwd: home,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...userEnvironment(home), POGO_ROOT_TOKEN: rootToken },
  });
  let complaints = "";
  void (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) complaints += text;
  })();
  const url = await listeningUrl(child);
  if (url === undefined) {
    await child.exited;
    throw new Error(`the server ended with ${child.exitCode}:\n${complaints}`);
  }
  async function stop(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<number | null> {
    child.kill(signal);
    await child.exited;
    return child.exitCode;
  }
  return {
    url,
    pid: child.pid,
    complaints: () => complaints,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

/** Reads on after the line, too, so that nothing the server says can block it. */
async function listeningUrl(
  child: Subprocess<"ignore", "pipe", "pipe">,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  void (async () => {
    let said = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      said += text;
      const match = /^listening on (http:\S+)\n/m.exec(said);
      if (match) resolve(match[1]);
    }
    resolve(undefined);
  })();
  return await promise;
}
