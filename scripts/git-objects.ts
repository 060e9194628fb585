/** Reads a git repository's objects through one long-lived `git cat-file --batch`. */

export type GitObject = { type: string; bytes: Uint8Array };
export type GitEntry = { mode: string; name: Uint8Array; oid: string };

type Waiting = { resolve: (object: GitObject | undefined) => void; reject: (error: Error) => void };

/** Opens a repository for reading; close it with `await using`. */
export class GitObjects implements AsyncDisposable {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #waiting: Waiting[] = [];
  #held: Buffer = Buffer.alloc(0);
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #needed = 0;

  constructor(repository: string) {
    this.#process = Bun.spawn(["git", "-C", repository, "cat-file", "--batch"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#read();
  }

  /** Reads one object; nothing when the repository does not have it. */
  read(name: string): Promise<GitObject | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#process.stdin.write(`${name}\n`);
      this.#process.stdin.flush();
    });
  }

  async readBlob(oid: string): Promise<Uint8Array> {
    const object = await this.read(oid);
    if (!object) throw new Error(`object ${oid} is missing`);
    return object.bytes;
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
      this.#needed = 0;
      const end = this.#held.indexOf(0x0a);
      if (end < 0) return;
      const [, type = "", size = ""] = this.#held.toString("latin1", 0, end).split(" ");
      if (type === "missing") {
        this.#held = this.#held.subarray(end + 1);
        this.#waiting.shift()?.resolve(undefined);
        continue;
      }
      const total = end + 1 + Number(size) + 1;
      if (this.#held.length < total) {
        this.#needed = total;
        return;
      }
      const bytes = new Uint8Array(this.#held.subarray(end + 1, total - 1));
      this.#held = this.#held.subarray(total);
      this.#waiting.shift()?.resolve({ type, bytes });
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
