/** The version control systems side by side: each knows how to do the same jobs. */
import { mkdirSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";

import { peakMemoryBytes, run, runAll, succeeds, type Sample } from "./measure.ts";

export type Jobs = {
  publish: Sample;
  edit: Sample;
  status: Sample;
  clone: Sample;
};

/** A system under test. Everything it writes is below its own directory. */
export type System = {
  name: string;
  /** Turns `work`, a plain directory, into a working copy and publishes it all. */
  publish(work: string): Promise<Sample>;
  /** Publishes an edit that was just made in `work`. */
  edit(work: string): Promise<Sample>;
  status(work: string): Promise<Sample>;
  clone(to: string): Promise<Sample>;
  /** Runs any command of the system's. */
  run(work: string, words: string[]): Promise<Sample>;
  /** Brings what is in `work` into the branch that all share; says no when it lost the race. */
  land(work: string): Promise<boolean>;
  /** Peak memory of the server since it started, where one process is the server. */
  serverMemoryBytes(): number | undefined;
  close(): Promise<void>;
};

const gitEnvironment = {
  GIT_AUTHOR_NAME: "bench",
  GIT_AUTHOR_EMAIL: "bench@localhost",
  GIT_COMMITTER_NAME: "bench",
  GIT_COMMITTER_EMAIL: "bench@localhost",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
  // No repacking in the background: it would run beside the jobs that follow.
  GIT_CONFIG_COUNT: "2",
  GIT_CONFIG_KEY_0: "gc.auto",
  GIT_CONFIG_VALUE_0: "0",
  GIT_CONFIG_KEY_1: "receive.autogc",
  GIT_CONFIG_VALUE_1: "false",
};

/** What stands between client and server: leads to a port, by another one. */
export type Wire = (port: number) => Promise<number>;

const directly: Wire = async (port) => port;

/** git, with `git daemon` as the server. */
export async function git(directory: string, wire: Wire = directly): Promise<System> {
  const served = join(directory, "served");
  mkdirSync(served, { recursive: true });
  const bare = join(served, "repo.git");
  await run(["git", "init", "-q", "--bare", "-b", "main", bare], { cwd: directory });
  const port = await freePort();
  const daemon = Bun.spawn(
    [
      "git",
      "daemon",
      "--reuseaddr",
      "--listen=127.0.0.1",
      `--port=${port}`,
      `--base-path=${served}`,
      "--export-all",
      "--enable=receive-pack",
    ],
    { stdio: ["ignore", "ignore", "ignore"], env: { ...process.env, ...gitEnvironment } },
  );
  await reachable(port);
  const url = `git://127.0.0.1:${await wire(port)}/repo.git`;
  const commands = (work: string, ...all: string[][]) => {
    return runAll(
      all.map((words) => ["git", ...words]),
      { cwd: work, environment: gitEnvironment },
    );
  };
  return {
    name: "git",
    publish: (work) =>
      commands(
        work,
        ["init", "-q", "-b", "main"],
        ["remote", "add", "origin", url],
        ["add", "--all", "--force"],
        ["commit", "-q", "-m", "all"],
        ["push", "-q", "origin", "main"],
      ),
    edit: (work) =>
      commands(work, ["commit", "-q", "-a", "-m", "edit"], ["push", "-q", "origin", "main"]),
    status: (work) => commands(work, ["status"]),
    clone: (to) => commands(directory, ["clone", "-q", url, to]),
    run: (work, words) => commands(work, words),
    land: async (work) => {
      const attempt = (...words: string[]) =>
        succeeds(["git", ...words], { cwd: work, environment: gitEnvironment });
      // What is committed already lost a race: it goes on from what won.
      if (!(await attempt("commit", "-q", "-a", "-m", "land"))) {
        await commands(work, ["pull", "-q", "--no-rebase", "--no-edit", "origin", "main"]);
      }
      return await attempt("push", "-q", "origin", "main");
    },
    serverMemoryBytes: () => undefined,
    close: () => stop(daemon),
  };
}

/**
 * git with git-lfs for the file `large`, which goes over the wire to lfs-test-server; what git
 * sends beside it does not.
 */
export async function gitLfs(
  directory: string,
  program: string,
  wire: Wire = directly,
): Promise<System> {
  const system = await git(directory);
  const port = await freePort();
  const host = `127.0.0.1:${await wire(port)}`;
  const server = Bun.spawn([program], {
    stdio: ["ignore", "ignore", "ignore"],
    env: {
      ...process.env,
      LFS_LISTEN: `tcp://127.0.0.1:${port}`,
      LFS_HOST: host,
      LFS_PUBLIC: "TRUE",
      LFS_METADB: join(directory, "lfs.db"),
      LFS_CONTENTPATH: join(directory, "lfs"),
    },
  });
  await reachable(port);
  return {
    ...system,
    name: "git-lfs",
    publish: async (work) => {
      for (const words of [
        ["init", "-q", "-b", "main"],
        ["lfs", "install", "--local"],
        ["lfs", "track", "large"],
        ["config", "lfs.url", `http://${host}`],
        ["config", "lfs.locksverify", "false"],
      ]) {
        await system.run(work, words);
      }
      return await system.publish(work);
    },
    serverMemoryBytes: () => peakMemoryBytes(server.pid),
    close: async () => {
      await stop(server);
      await system.close();
    },
  };
}

/** Subversion, with `svnserve` as the server. */
export async function svn(directory: string): Promise<System> {
  mkdirSync(directory, { recursive: true });
  const repository = join(directory, "repository");
  await run(["svnadmin", "create", repository], { cwd: directory });
  await Bun.write(
    join(repository, "conf/svnserve.conf"),
    "[general]\nanon-access = write\nauth-access = write\n",
  );
  const port = await freePort();
  const server = Bun.spawn(
    [
      "svnserve",
      "--daemon",
      "--foreground",
      "--listen-host=127.0.0.1",
      `--listen-port=${port}`,
      `--root=${directory}`,
    ],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  await reachable(port);
  const url = `svn://127.0.0.1:${port}/repository`;
  const commands = (work: string, ...all: string[][]) => {
    return runAll(
      all.map((words) => ["svn", "--non-interactive", ...words]),
      { cwd: work },
    );
  };
  return {
    name: "svn",
    // `import` leaves no working copy behind: the same bytes go over the wire as with add + commit.
    publish: (work) => commands(work, ["import", "-q", "--no-ignore", "-m", "all", ".", url]),
    edit: (work) => commands(work, ["commit", "-q", "-m", "edit"]),
    status: (work) => commands(work, ["status"]),
    clone: (to) => commands(directory, ["checkout", "-q", url, to]),
    run: (work, words) => commands(work, words),
    land: async (work) => {
      await commands(work, ["update"], ["commit", "-q", "-m", "land"]);
      return true;
    },
    serverMemoryBytes: () => peakMemoryBytes(server.pid),
    close: () => stop(server),
  };
}

/** Pogo, from its compiled binary, on a real PostgreSQL. */
export async function pogo(
  directory: string,
  binary: string,
  databaseUrl: string,
  wire: Wire = directly,
): Promise<System> {
  mkdirSync(directory, { recursive: true });
  const token = "pogo_bench_token_0123456789abcdef";
  const server = Bun.spawn(
    [binary, "serve", "--data", join(directory, "data"), "--listen", "127.0.0.1:0"],
    {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, DATABASE_URL: databaseUrl, POGO_ROOT_TOKEN: token },
    },
  );
  const { port } = new URL(await listeningUrl(server.stdout));
  const url = `http://127.0.0.1:${await wire(Number(port))}`;
  const environment = {
    POGO_TOKEN: token,
    XDG_CONFIG_HOME: join(directory, "config"),
    XDG_CACHE_HOME: join(directory, "cache"),
  };
  const commands = (work: string, ...all: string[][]) => {
    return runAll(
      all.map((words) => [binary, ...words]),
      { cwd: work, environment },
    );
  };
  return {
    name: "pogo",
    // The Linux source has names that differ in case alone.
    publish: (work) =>
      commands(
        work,
        ["init", "--server", url, "--name", "repo", "--case-sensitive"],
        ["push", "-q", "-m", "all", "--include-ignored"],
      ),
    edit: (work) => commands(work, ["push", "-q", "-m", "edit"]),
    status: (work) => commands(work, ["status"]),
    clone: (to) => commands(directory, ["clone", "-q", `${url}/repo`, to]),
    run: (work, words) => commands(work, words),
    land: async (work) => {
      await commands(work, ["sync", "-q"]);
      return true;
    },
    serverMemoryBytes: () => peakMemoryBytes(server.pid),
    close: () => stop(server),
  };
}

async function stop(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  await child.exited;
}

/** Address of a server of Pogo's, once it listens. */
export async function listeningUrl(output: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of output) {
    text += decoder.decode(bytes, { stream: true });
    const match = /listening on (\S+)\n/.exec(text);
    if (match?.[1]) return match[1];
  }
  throw new Error(`the server did not start: ${text}`);
}

/** A port of loopback that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Waits until somebody listens. */
export async function reachable(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true));
      socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
    });
    if (isOpen) return;
    await Bun.sleep(25);
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** Removes what a system wrote. */
export function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}
