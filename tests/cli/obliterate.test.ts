/** Contents that are deleted for good, and everything else going on without them. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { appendFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { sha256, toHex } from "#core/hash.ts";
import { seededRandom } from "../support/random.ts";
import { openPogo, type Outcome } from "../support/pogo.ts";
import { engines, prepareDatabase, startMs } from "../support/postgres.ts";
import { rootToken, startServing, type Serving } from "../support/serving.ts";

setDefaultTimeout(startMs);

const secret = "password: hunter2\n";
const placeholder = /^pogo: obliterated [0-9a-f]{64} 18 [0-9a-f]{16}\n\nThese contents were/;
const closing = new AsyncDisposableStack();
const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
let server: Serving;
beforeAll(async () => {
  const data = join(pogo.home, "data");
  const { databaseUrl } = closing.use(await prepareDatabase(engines[0]!, data));
  server = closing.use(await startServing({ home: pogo.home, data, databaseUrl }));
});
afterAll(() => closing.disposeAsync());

const options = (cwd: string) => ({ cwd, environment: { POGO_SERVER: server.url } });
const objectPath = (bytes: Uint8Array) => {
  const name = toHex(sha256(bytes));
  return join(pogo.home, "data", "objects", name.slice(0, 2), name);
};

/** A working copy of a new repository. */
async function openWork(name: string) {
  const cwd = join(pogo.home, name);
  mkdirSync(cwd);
  await pogo.ok(["init", ".", "--server", server.url, "--name", name], options(cwd));
  return workIn(cwd);
}

function workIn(cwd: string) {
  return {
    at: (path: string) => join(cwd, path),
    ok: (...args: string[]) => pogo.ok(args, options(cwd)),
    run: (...args: string[]): Promise<Outcome> => pogo.run(args, options(cwd)),
    json: (...args: string[]) => pogo.json(args, options(cwd)),
    text: (path: string) => readFileSync(join(cwd, path), "utf8"),
    async clone(directory: string) {
      const url = `${server.url}/${cwd.split("/").at(-1)}`;
      await pogo.ok(["clone", url, directory], options(pogo.home));
      return workIn(join(pogo.home, directory));
    },
  };
}

test("a secret is gone from every version, and all that works on them goes on", async () => {
  const work = await openWork("leaky");
  mkdirSync(work.at("config"));
  await writeFile(work.at("config/key"), secret);
  await writeFile(work.at("readme"), "one\n");
  await work.ok("commit", "-m", "leaks");
  await writeFile(work.at("readme"), "two\n");
  await work.ok("commit", "-m", "still has it");
  await work.ok("bookmark", "set", "main", "@-");
  await writeFile(work.at("config/key"), "password: none\n");
  await work.ok("commit", "-m", "has another one");
  const before = await work.clone("before");

  const planned = await work.ok("admin", "obliterate", "config/key", "--dry-run");
  expect(planned.split("\n").filter((line) => line.startsWith("object"))).toHaveLength(2);
  expect(planned).toMatch(/\n? {2}leaky: config\/key, change [k-z]{16}, version 1\n/);
  expect(existsSync(objectPath(Buffer.from(secret)))).toBe(true);
  const hash = toHex(sha256(Buffer.from(secret)));
  const unasked = await work.run("admin", "obliterate", hash, "--reason", "leaked");
  expect([unasked.exitCode, unasked.stderr]).toEqual([
    2,
    "pogo: error: it cannot be undone, and nobody is there to be asked\n" +
      "pogo: hint: look with --dry-run, then add --yes\n",
  ]);
  await work.ok("admin", "obliterate", hash, "--reason", "leaked key", "--yes");
  expect(existsSync(objectPath(Buffer.from(secret)))).toBe(false);

  // It is as it was in whoever has it, and nothing else is damaged.
  expect(await work.ok("status")).toContain("no file changed");
  expect(await work.ok("verify", "--full")).toMatch(/^verified \d+ trees, 3 objects\n$/);
  const [event] = (await work.json("admin", "audit", "-n", "1")) as { details: object }[];
  expect(event).toMatchObject({
    action: "StorageService/Obliterate",
    details: { objects: [hash], reason: "leaked key" },
  });
  expect(await before.ok("status")).toContain("no file changed");
  expect(before.text("config/key")).toBe(secret);
  const cat = await before.run("cat", "main", "config/key");
  expect(cat.exitCode).toBe(9);
  expect(cat.stderr).toMatch(
    /^pogo: error: these contents were obliterated on \d{4}-\d\d-\d\d: leaked key\n$/,
  );

  // A clone has a text in its place, which counts as what it stands for.
  const clone = await work.clone("after");
  expect(clone.text("config/key")).toMatch(placeholder);
  expect(clone.text("config/key")).toContain(": leaked key\n");
  expect(await clone.json("status")).toMatchObject({ files: [] });
  const past = new Date(Date.now() - 60_000);
  await utimes(clone.at("config/key"), past, past);
  expect(await clone.json("status")).toMatchObject({ files: [] });
  await writeFile(clone.at("readme"), "three\n");
  await clone.ok("push", "-m", "beside it");
  expect((await clone.json("show", "@")) as { files: object[] }).toMatchObject({
    files: [{ path: "readme" }],
  });
  // Away from it and back, and compared with what replaced it.
  const latest = String(((await work.json("show", "@-")) as { name: string }).name);
  await clone.ok("edit", latest);
  expect(clone.text("config/key")).toBe("password: none\n");
  await clone.ok("edit", "main");
  expect(clone.text("config/key")).toMatch(placeholder);
  const diff = await clone.ok("diff", "--from", "main", "--to", latest);
  expect(diff).toContain("-pogo: obliterated");
  expect(diff).toContain("+password: none\n");
});

test("what both sides changed of obliterated contents is a conflict, and can be resolved", async () => {
  const work = await openWork("merged");
  await writeFile(work.at("key"), "key: 1\n");
  await work.ok("commit", "-m", "base");
  await work.ok("bookmark", "set", "main", "@-");
  await writeFile(work.at("key"), "key: 2\n");
  await work.ok("commit", "-m", "ours");
  await work.ok("bookmark", "set", "ours", "@-");
  const other = await work.clone("merged-other");
  await other.ok("new", "main");
  await writeFile(other.at("key"), "key: 3\n");
  await writeFile(other.at("beside"), "it\n");
  await other.ok("commit", "-m", "theirs");
  const theirs = String(((await other.json("show", "@-")) as { name: string }).name);
  const base = toHex(sha256(Buffer.from("key: 1\n")));
  await work.ok("admin", "obliterate", base, "--reason", "leaked", "--yes");
  await other.ok("new", "@-", "ours");
  expect(await other.ok("status")).toContain("key");
  await writeFile(other.at("key"), "key: 4\n");
  await other.ok("push", "-m", "both");
  expect(await other.ok("cat", "@", "key")).toBe("key: 4\n");
  expect(await other.ok("cat", "@", "beside")).toBe("it\n");
  // With a side that is gone, the sides stand next to the file, and either can be taken.
  const side = toHex(sha256(Buffer.from("key: 2\n")));
  await work.ok("admin", "obliterate", side, "--reason", "leaked", "--yes");
  const third = await work.clone("merged-third");
  await third.ok("new", theirs, "ours");
  expect(await third.ok("status")).toContain("key");
  await third.ok("resolve", "key", "--side", "2");
  expect(third.text("key")).toMatch(/^pogo: obliterated/);
  await third.ok("push", "-m", "takes what is gone");
  expect((await third.run("cat", "@", "key")).exitCode).toBe(9);
  expect(await third.ok("status")).toContain("no file changed");
});

test("what was obliterated cannot be pushed again, and what stands for it can be moved", async () => {
  const work = await openWork("moved");
  await writeFile(work.at("a"), "token: 1\n");
  await work.ok("push", "-m", "leaks");
  await work.ok("bookmark", "set", "main", "@");
  await work.ok("admin", "obliterate", "a", "--reason", "leaked", "--yes");
  const clone = await work.clone("moved-clone");
  await rename(clone.at("a"), clone.at("b"));
  await clone.ok("push", "-m", "moves it");
  expect((await clone.run("cat", "@", "b")).exitCode).toBe(9);
  expect(await clone.json("status")).toMatchObject({ files: [] });
  const third = await work.clone("moved-third");
  expect(third.text("a")).toMatch(/^pogo: obliterated/);
  // The contents themselves are refused, wherever they come from.
  await writeFile(third.at("copy"), "token: 1\n");
  const refused = await third.run("push", "-m", "again");
  expect(refused.exitCode).toBe(9);
  expect(refused.stderr).toContain('the contents of "copy" were obliterated');
  await rm(third.at("copy"));
  // An edited text is a text.
  await appendFile(third.at("a"), "mine\n");
  expect(await third.ok("diff")).toContain("+mine\n");
  await third.ok("push", "-m", "a note");
  expect(await third.ok("cat", "@", "a")).toContain("mine\n");
  // Who has it still may repair everything else.
  await work.ok("push", "--repair");
});

test("of a large file go the chunks that nothing else has", async () => {
  const { random } = seededRandom(5);
  const noise = (size: number) => Uint8Array.from({ length: size }, () => random() * 256);
  const shared = noise(6_000_000);
  const leaked = Buffer.concat([shared, Buffer.from("password"), noise(300_000)]);
  const work = await openWork("large");
  await writeFile(work.at("disk.img"), leaked);
  await work.ok("push", "-m", "leaks");
  const usage = async () => {
    const said = (await work.json("admin", "du")) as { repositories: Record<string, number>[] };
    return said.repositories.find(({ repository }) => String(repository) === "large")!;
  };
  const whole = await usage();
  await writeFile(work.at("disk.img"), shared);
  await work.ok("push");
  await work.ok("bookmark", "set", "main", "@");
  const chunk = ((await work.json("admin", "du")) as { total: { objects: number } }).total;
  await work.ok("admin", "obliterate", toHex(sha256(leaked)), "--reason", "leaked", "--yes");
  const left = ((await work.json("admin", "du")) as { total: { objects: number } }).total;
  expect(left.objects).toBeLessThan(chunk.objects);
  const now = await usage();
  expect(now["uniqueBytes"]).toBe(shared.length);
  expect(now["uniqueBytes"]!).toBeLessThan(whole["uniqueBytes"]!);
  expect((await work.run("verify", "--full")).exitCode).toBe(0);
  const clone = await work.clone("large-clone");
  expect(sha256(readFileSync(clone.at("disk.img")))).toEqual(sha256(shared));
  await writeFile(clone.at("disk.img"), leaked);
  const refused = await clone.run("push", "-m", "again");
  expect(refused.exitCode).toBe(9);
  // What is like it and has not the secret is sent, chunks and all.
  await writeFile(clone.at("disk.img"), Buffer.concat([shared, noise(10_000)]));
  await clone.ok("push", "-m", "clean");
  expect((await work.run("verify", "--full")).exitCode).toBe(0);
});
