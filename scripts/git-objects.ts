/** Reads a git repository's objects through long-lived `git cat-file` processes. */

export type GitObject = { type: string; bytes: Uint8Array };
export type GitEntry = { mode: string; name: Uint8Array; oid: string };

type Waiting<Answer> = { resolve: (answer: Answer) => void; reject: (error: Error) => void };

/** Opens a repository for reading; close it with `await using`. */
export class GitObjects implements AsyncDisposable {
  readonly #contents: Channel<GitObject | undefined>;
  readonly #sizes: Channel<number | undefined>;

  constructor(repository: string) {
    this.#contents = new Channel(repository, "--batch", takeObject);
    this.#sizes = new Channel(repository, "--batch-check", takeSize);
  }

  /** Reads one object; nothing when the repository does not have it. */
  read(name: string): Promise<GitObject | undefined> {
    return this.#contents.ask(name);
  }

  async readBlob(oid: string): Promise<Uint8Array> {
    const object = await this.read(oid);
    if (!object) throw new Error(`object ${oid} is missing`);
    return object.bytes;
  }

  /** Size of an object; one that is missing counts as empty. */
  async readSize(oid: string): Promise<number> {
    return (await this.#sizes.ask(oid)) ?? 0;
  }

  async readTree(oid: string): Promise<GitEntry[]> {
    const bytes = Buffer.from(await this.readBlob(oid));
    const entries: GitEntry[] = [];
    for (let at = 0; at < bytes.length;) {
      const space = bytes.indexOf(0x20, at);
      const nul = bytes.indexOf(0, space);
      entries.push({
        mode: bytes.toString("latin1", at, space).padStart(6, "0"),
        name: bytes.subarray(space + 1, nul),
        oid: bytes.toString("hex", nul + 1, nul + 21),
      });
      at = nul + 21;
    }
    return entries;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#contents.close(), this.#sizes.close()]);
  }
}

/** What one answer is, and how many bytes it took up; or how many are needed to tell. */
type Taken<Answer> = { answer: Answer; bytes: number } | { needed: number };

function takeObject(held: Buffer): Taken<GitObject | undefined> {
  const end = held.indexOf(0x0a);
  if (end < 0) return { needed: 0 };
  const [, type = "", size = ""] = held.toString("latin1", 0, end).split(" ");
  if (type === "missing") return { answer: undefined, bytes: end + 1 };
  const total = end + 1 + Number(size) + 1;
  if (held.length < total) return { needed: total };
  const bytes = new Uint8Array(held.subarray(end + 1, total - 1));
  return { answer: { type, bytes }, bytes: total };
}

function takeSize(held: Buffer): Taken<number | undefined> {
  const end = held.indexOf(0x0a);
  if (end < 0) return { needed: 0 };
  const [, type = "", size = ""] = held.toString("latin1", 0, end).split(" ");
  return { answer: type === "missing" ? undefined : Number(size), bytes: end + 1 };
}

/** A `git cat-file` that answers in the order in which it is asked. */
class Channel<Answer> {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #take: (held: Buffer) => Taken<Answer>;
  readonly #waiting: Waiting<Answer>[] = [];
  #held: Buffer = Buffer.alloc(0);
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #needed = 0;

  constructor(repository: string, mode: string, take: (held: Buffer) => Taken<Answer>) {
    this.#take = take;
    this.#process = Bun.spawn(["git", "-C", repository, "cat-file", mode], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#read();
  }

  ask(name: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#process.stdin.write(`${name}\n`);
      this.#process.stdin.flush();
    });
  }

  async close(): Promise<void> {
    this.#process.stdin.end();
    await this.#process.exited;
  }

  async #read(): Promise<void> {
    for await (const part of this.#process.stdout) {
      this.#parts.push(part);
      this.#partBytes += part.length;
      if (this.#held.length + this.#partBytes < this.#needed) continue;
      this.#held = Buffer.concat([this.#held, ...this.#parts]);
      this.#parts = [];
      this.#partBytes = 0;
      this.#answer();
    }
    for (const { reject } of this.#waiting) reject(new Error("git cat-file ended"));
  }

  #answer(): void {
    for (;;) {
      const taken = this.#take(this.#held);
      this.#needed = "needed" in taken ? taken.needed : 0;
      if ("needed" in taken) return;
      this.#held = this.#held.subarray(taken.bytes);
      this.#waiting.shift()?.resolve(taken.answer);
    }
  }
}

/** Runs git to its end and returns what it printed; `allowed` names exit codes that are answers. */
export async function runGit(
  args: string[],
  options: {
    env?: Record<string, string>;
    input?: Uint8Array;
    allowed?: number[];
  } = {},
): Promise<{ code: number; output: Buffer; errors: string }> {
  const child = Bun.spawn(["git", ...args], {
    stdin: options.input ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...Bun.env, GIT_CONFIG_NOSYSTEM: "1", LC_ALL: "C", ...options.env },
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).arrayBuffer(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0 && !options.allowed?.includes(code)) {
    throw new Error(`git ${args.slice(0, 4).join(" ")} failed with ${code}: ${errors}`);
  }
  return { code, output: Buffer.from(output), errors };
}
