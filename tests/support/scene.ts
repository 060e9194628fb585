/** People at their terminals: a real server, and the real program run in working copies. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";

import { newDraft } from "#client/change.ts";
import { clone } from "#client/clone.ts";
import { push } from "#client/push.ts";
import { openRemote, type Remote } from "#client/remote.ts";
import { switchTo } from "#client/switch.ts";
import { createWorkspace, openWorkspace } from "#client/workspace.ts";
import { isPogoError } from "#core/errors.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import type { FinishedCall } from "#rpc/serve.ts";
import type { ServerOptions } from "#server/server.ts";
import { openPogo, type Outcome, type Pogo, type RunOptions } from "./pogo.ts";
import { engines, type Engine } from "./postgres.ts";
import { publish } from "./publish.ts";
import { startTestServer, testRootToken, type TestServer } from "./server.ts";
import { writeFiles, type Files } from "./workspace.ts";

export type Scene = AsyncDisposable & {
  server: TestServer;
  url: string;
  /** A user with a token and an empty home. */
  person(name: string): Promise<Person>;
  /** Somebody without a token. */
  stranger(): Person;
  /** Gets the name of every call that the server finishes. */
  calls: string[];
  /** Waits for the server to finish a call of a method, such as "FindMissing". */
  nextCall(method: string): Promise<void>;
};

export type Person = {
  home: string;
  /** Variables that this user's commands get. */
  environment: Record<string, string>;
  /** Runs a command in the home, whatever comes of it. */
  run(...args: string[]): Promise<Outcome>;
  /** Creates a repository with a working copy of it in a new directory. */
  init(files?: Files, ...options: string[]): Promise<Copy>;
  /** Clones a new repository in which changes were published before, each with a bookmark. */
  published(...changes: PublishedChange[]): Promise<Copy>;
  /** Clones a repository into a new directory. */
  clone(repository: string, ...options: string[]): Promise<Copy>;
  /** A repository as this user's programs see it, without a working copy. */
  remote(repository: string): Remote;
  /** A directory as it is. */
  at(root: string, repository?: string): Copy;
};

/** A change that the tests begin with, on top of that of a bookmark if it says so. */
export type PublishedChange = {
  bookmark: string;
  description: string;
  files: Files;
  on?: string | undefined;
};

export type Failure = { code: string; message: string; hint?: string; exitCode: number };

export type Copy = {
  root: string;
  repository: string;
  person: Person;
  /** Runs a command here, whatever comes of it. */
  run(args: string[], options?: RunOptions): Promise<Outcome>;
  /** Starts a command, to be killed or waited for. */
  start(args: string[]): ReturnType<Pogo["start"]>;
  /** Runs a command that must succeed and say nothing on stderr; returns what it printed. */
  ok(...args: string[]): Promise<string>;
  /** Runs a command with --json that must succeed, and returns its result. */
  // oxlint-disable-next-line no-explicit-any
  json<T = any>(...args: string[]): Promise<T>;
  /** Runs a command with --json that must fail, and returns how. */
  fails(...args: string[]): Promise<Failure>;
  write(files: Files): void;
  /** Publishes what was edited, as a push does: for what a test begins with. */
  publish(description?: string): Promise<void>;
  /** The same, as a commit does: with a draft on top. */
  commit(description: string): Promise<void>;
  /** Sets a bookmark at the working copy's change, or its parent. */
  mark(bookmark: string, revision?: "@" | "@-"): Promise<void>;
};

/**
 * Starts a server that people can come to: on PostgreSQL if there is one, as a call then takes a
 * fifth of the time. That a server answers alike on either engine is what tests/server holds.
 */
export async function openScene(
  engine: Engine = engines[0]!,
  options: Partial<ServerOptions> = {},
): Promise<Scene> {
  await using opening = new AsyncDisposableStack();
  let scene: Scene | undefined;
  const waiting = new Map<string, () => void>();
  const observe = ({ method, error }: FinishedCall) => {
    if (error) console.error(error);
    const name = method.slice(method.lastIndexOf("/") + 1);
    scene?.calls.push(name);
    waiting.get(name)?.();
    waiting.delete(name);
  };
  const server = opening.use(await startTestServer(engine, { observe, ...options }));
  const { url } = server.server;
  const root = server.channel(testRootToken);
  const parts = opening.move();
  let repositories = 0;

  function person(token?: string): Person {
    const environment = { POGO_SERVER: url, ...(token && { POGO_TOKEN: token }) };
    const pogo: Pogo = parts.use(openPogo(environment));
    const channel = server.channel(token);
    const directory = () => mkdtempSync(join(pogo.home, "copy-"));
    const self: Person = {
      home: pogo.home,
      environment: pogo.environment,
      run: (...args) => pogo.run(args),
      async init(files = {}, ...options) {
        const [path, name] = [directory(), `repository-${++repositories}`];
        const command = ["init", path, "--server", url, "--name", name, ...options];
        if (options.length > 0) await pogo.ok(command);
        else await initInto(self.remote(name), path, url);
        writeFiles(path, files);
        return copyAt(self, pogo, path, name);
      },
      async clone(repository, ...options) {
        const path = directory();
        const command = ["clone", `${url}/${repository}`, path, ...options];
        if (options.length > 0) await pogo.ok(command);
        else await cloneInto(self.remote(repository), path, url);
        return copyAt(self, pogo, path, repository);
      },
      async published(...changes) {
        const remote = self.remote(`repository-${++repositories}`);
        await remote.createRepository({ public: false, caseSensitive: false });
        const made = new Map<string, { name: string; version: number }>();
        for (const { bookmark, description, files, on } of changes) {
          const below = on === undefined ? undefined : made.get(on);
          const parents = below
            ? [{ change: below.name, version: below.version, description: "", prefix: "" }]
            : [];
          const { change } = await publish(remote, files, { description, parents });
          await remote.setBookmark(bookmark, change!.name);
          made.set(bookmark, change!);
        }
        return await self.clone(remote.repository);
      },
      remote: (repository) => openRemote(channel, repository),
      at: (path, repository = "") => copyAt(self, pogo, path, repository),
    };
    return self;
  }

  scene = {
    server,
    url,
    calls: [],
    async person(user) {
      const request = { name: "test", expiresAt: 0, user };
      const { secret } = await root.unary(Auth.createToken, request);
      return person(secret);
    },
    stranger: () => person(),
    nextCall: (method) => new Promise((resolve) => waiting.set(method, resolve)),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
  return scene;
}

// As the commands do, without starting a process for what a test only begins with.
async function initInto(remote: Remote, root: string, server: string): Promise<void> {
  await remote.createRepository({ public: false, caseSensitive: false });
  const binding = { server, repository: remote.repository, caseSensitive: false };
  createWorkspace(root, binding, newDraft([]))[Symbol.dispose]();
}

async function cloneInto(remote: Remote, root: string, server: string): Promise<void> {
  const { name, caseSensitive } = await remote.getRepository();
  const binding = { server, repository: name, caseSensitive };
  const change = await remote.getChange("").catch((error: unknown) => {
    if (!isPogoError(error, "not-found")) throw error;
  });
  const draft = newDraft(change ? [change] : []);
  const workspace = await clone(remote, root, binding, draft, { add() {} });
  workspace[Symbol.dispose]();
}

function copyAt(person: Person, pogo: Pogo, root: string, repository: string): Copy {
  const remote = () => person.remote(repository);
  const run = (args: string[], options: RunOptions = {}) =>
    pogo.run(args, { cwd: root, ...options });
  const ok = async (...args: string[]) => {
    const { stdout, stderr, exitCode } = await run(args);
    if (exitCode === 0 && stderr === "") return stdout;
    throw new Error(`pogo ${args.join(" ")} ended with ${exitCode}:\n${stderr}`);
  };
  return {
    root,
    repository,
    person,
    run,
    start: (args) => pogo.start(args, { cwd: root }),
    ok,
    json: async (...args) => JSON.parse(await ok(...args, "--json")),
    async fails(...args) {
      const { stdout, stderr, exitCode } = await run([...args, "--json"]);
      if (exitCode === 0) throw new Error(`pogo ${args.join(" ")} succeeded:\n${stdout}`);
      return { ...JSON.parse(stderr).error, exitCode };
    },
    write: (files) => writeFiles(root, files),
    publish: (description) => publishEdits(root, remote(), description),
    commit: (description) => publishEdits(root, remote(), description, { isDone: true }),
    async mark(bookmark, revision = "@") {
      using workspace = openWorkspace(root);
      const { name, parents } = workspace.state.current;
      await remote().setBookmark(bookmark, revision === "@" ? name : parents[0]!.change);
    },
  };
}

async function publishEdits(
  root: string,
  remote: Remote,
  description: string | undefined,
  { isDone = false } = {},
): Promise<void> {
  using workspace = openWorkspace(root);
  using _ = await workspace.lock();
  const { change } = await push({ workspace, remote }, { description });
  if (isDone) await switchTo({ workspace, remote }, newDraft([change!]), { add() {} });
}

/**
 * Text with what differs from run to run made alike: change names by the order in which they
 * appear, times, and the given texts, such as directories, by their names.
 */
export function steady(text: string, known: Record<string, string> = {}): string {
  let steadied = text;
  for (const [name, value] of Object.entries(known)) steadied = steadied.replaceAll(value, name);
  const names = new Map<string, string>();
  return steadied
    .replace(/\b[k-z]{8}(?:[k-z]{8})?\b/g, (name) => {
      const short = name.slice(0, 8);
      names.set(short, names.get(short) ?? `change-${names.size + 1}`);
      return names.get(short)!;
    })
    .replace(/\b\d{4}-\d\d-\d\d \d\d:\d\d\b/g, "TIME");
}
