/** A server that lies to the real client: it ends with a typed error, and writes nothing astray. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";

import type { ObjectUrl } from "#gen/pogo/v1/pull.ts";
import { PogoError } from "#core/errors.ts";
import { sha256 } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import type { Blob } from "#rpc/blobs.ts";
import {
  chunkEntries,
  codecs,
  directoryEntry,
  fileEntry,
  forgeObject,
  forgeTree,
  linkEntry,
  partOf,
  plainObject,
  treeEntry,
} from "../support/forge.ts";
import {
  endless,
  honestChange,
  honestScript,
  messages,
  one,
  root,
  snapshotScript,
  startHostileServer,
  strayPart,
  two,
  type HostileServer,
  type Script,
} from "../support/hostile-server.ts";
import { openPogo, type Pogo } from "../support/pogo.ts";

const corrupt = 8;
const unavailable = 7;

let server: HostileServer;
let pogo: Pogo;
/** A working copy of before the server turned. */
let copy: string;
let runs = 0;

beforeAll(async () => {
  server = await startHostileServer();
  pogo = openPogo({ POGO_TOKEN: "a-token-of-the-tests" });
  copy = join(pogo.home, "copy");
  await pogo.ok(["clone", `${server.url}/game`, copy]);
}, 60_000);
afterAll(async () => {
  pogo[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

/** Clones while the server misbehaves. Nothing may be written but what the server may say. */
async function cloneFrom(script: Partial<Script>, allowed: string[] = []) {
  server.script = { ...honestScript(), ...script };
  const place = join(pogo.home, `place-${++runs}`);
  const before = readdirSync(pogo.home).length;
  mkdirSync(place);
  writeFileSync(join(place, "sentinel"), "as it was");
  const outcome = await pogo.run(["clone", `${server.url}/game`, "target"], { cwd: place });
  expect(readdirSync(pogo.home).length).toBe(before + 1);
  expect(readdirSync(place).filter((name) => name !== "target")).toEqual(["sentinel"]);
  const target = join(place, "target");
  const written = existsSync(target) ? readdirSync(target) : [];
  expect(written.filter((name) => ![".pogo", ...allowed].includes(name))).toEqual([]);
  return outcome;
}

/** Clones from each, and tells those that did not end as they should. */
async function misjudged(exitCode: number, scripts: Record<string, Partial<Script>>) {
  const found: string[] = [];
  for (const [name, script] of Object.entries(scripts)) {
    const outcome = await cloneFrom(script, ["dir", "one.txt"]);
    const isTold = /^pogo: error: [^\n]+\n(  [^\n]*\n)*(pogo: hint: [^\n]+\n)?$/.test(
      outcome.stderr,
    );
    if (outcome.exitCode !== exitCode || !isTold) {
      found.push(`${name}: ${outcome.exitCode} ${outcome.stderr}`);
    }
  }
  return found;
}

test("the honest server is believed", async () => {
  const { exitCode, stderr } = await cloneFrom({}, ["dir", "one.txt"]);
  expect([exitCode, stderr]).toEqual([0, ""]);
});

describe("clone", () => {
  test("names that lead elsewhere are refused, and nothing is written", async () => {
    const names = [
      "..",
      "../escaped",
      "/tmp/escaped",
      "a/../../escaped",
      ".pogo",
      ".git",
      ".GIT ",
      "git~1",
      ".g\u200cit",
      "a\0b",
      "C:x",
    ];
    const trees: Record<string, Partial<Script>> = {};
    for (const name of names) trees[name] = snapshotScript(forgeTree(fileEntry(name, 3, one.hash)));
    const hook = forgeTree(fileEntry("post-checkout", 3, one.hash));
    trees[".git below"] = snapshotScript(forgeTree(directoryEntry(".git", hook.hash)), hook);
    trees["a link out"] = snapshotScript(forgeTree(linkEntry("dir", "../..")));
    trees["a link to the root"] = snapshotScript(forgeTree(linkEntry("dir", "/")));
    trees["a link to Pogo's own"] = snapshotScript(forgeTree(linkEntry("dir", ".pogo")));
    expect(await misjudged(corrupt, trees)).toEqual([]);
  }, 60_000);

  test("trees that are not what their hash says, or not asked for, are refused", async () => {
    const file = fileEntry("one.txt", 3, one.hash);
    let deep = forgeTree(file);
    const chain = [deep];
    for (let depth = 0; depth < 300; depth++)
      chain.unshift((deep = forgeTree(directoryEntry("d", deep.hash))));
    const hollow = forgeTree(directoryEntry("dir", sha256(Buffer.from("never sent"))), file);
    const other = forgeTree(fileEntry("other", 3, two.hash));
    const scripts: Record<string, Partial<Script>> = {
      "other bytes": { trees: () => messages({ hash: root.hash, bytes: other.bytes }) },
      "another tree": { trees: () => messages(other) },
      "a tree that is not named": { trees: () => messages(root, other) },
      "no tree": { trees: () => [] },
      "a tree that is missing": snapshotScript(hollow),
      "one name twice": snapshotScript(forgeTree(file, file)),
      "names out of order": snapshotScript(forgeTree(fileEntry("z", 3, one.hash), file)),
      "a name that is not UTF-8": snapshotScript(
        forgeTree(fileEntry(Buffer.from([0xff]), 3, one.hash)),
      ),
      "an unknown tag": snapshotScript(forgeTree(treeEntry(9, "x", one.hash))),
      "300 directories": snapshotScript(chain[0]!, ...chain.slice(1)),
      "the same tree without end": { trees: () => endless(() => ({ parts: [partOf(root)] })) },
      "trees without end": { trees: () => endless((index) => ({ parts: [strayPart(index)] })) },
      "half a tree": {
        trees: () => [{ parts: [partOf(root, { data: root.bytes.subarray(0, 10) })] }],
      },
      "a tree of a tebibyte": { trees: () => [{ parts: [partOf(root, { total: 2 ** 40 })] }] },
    };
    expect(await misjudged(corrupt, scripts)).toEqual([]);
  }, 60_000);

  const elsewhereMessage = (lie: Partial<ObjectUrl>) => {
    const url = { hash: one.hash, url: "http://127.0.0.1:1/", rawSize: 3, ...lie };
    return { parts: [], urls: [url] };
  };
  const elsewhere = (lie: Partial<ObjectUrl>): Partial<Script> => ({
    objects: () => [elsewhereMessage(lie)],
  });

  test("objects that are not what their hash says, or not asked for, are refused", async () => {
    const other = plainObject("abc");
    const lie = (bytes: Uint8Array): Partial<Script> => ({
      objects: (hashes) => messages(...hashes.map((hash): Blob => ({ hash, bytes }))),
    });
    const bomb = deflateRawSync(new Uint8Array(64 * 1024 * 1024));
    const scripts: Record<string, Partial<Script>> = {
      "other contents": lie(other.bytes),
      "no object": lie(Buffer.from("nonsense")),
      "a bomb": lie(forgeObject(codecs.deflate, objectBytesMax, bomb)),
      "a list of itself": lie(
        forgeObject(codecs.chunks, 3, chunkEntries([{ hash: one.hash, size: 3 }])),
      ),
      "a list of what is not there": lie(
        forgeObject(codecs.chunks, 3, chunkEntries([{ hash: other.hash, size: 3 }])),
      ),
      "another object": { objects: () => messages(other) },
      "the objects in another order": {
        objects: (hashes) => messages(...(hashes.length > 1 ? [one, two] : [other])),
      },
      "one object too few": { objects: (hashes) => messages(...(hashes.length > 1 ? [two] : [])) },
      "no objects": { objects: () => [] },
      "one object without end": { objects: () => endless(() => ({ parts: [partOf(one)] })) },
      "objects without end": { objects: () => endless((index) => ({ parts: [strayPart(index)] })) },
      "half an object": {
        objects: () => [{ parts: [partOf(one, { data: one.bytes.subarray(0, 5) })] }],
      },
      "an object of a tebibyte": { objects: () => [{ parts: [partOf(one, { total: 2 ** 40 })] }] },
      "an object elsewhere, where it is not": elsewhere({}),
      "an object of gibibytes elsewhere": elsewhere({ rawSize: 2 ** 32 - 1 }),
      "an object on the client's disk": elsewhere({ url: "file:///etc/hostname" }),
      "objects elsewhere without end": {
        objects: () => endless((index) => elsewhereMessage({ hash: strayPart(index).hash })),
      },
      "an untrue size": snapshotScript(forgeTree(fileEntry("one.txt", 4, one.hash))),
      "a size of a pebibyte": snapshotScript(forgeTree(fileEntry("one.txt", 2 ** 50, one.hash))),
      "a corrupt object of its own": {
        objects: () => {
          throw new PogoError("corrupt", "this server has lost it");
        },
      },
    };
    expect(await misjudged(corrupt, scripts)).toEqual([]);
  }, 60_000);

  test("a change that makes no sense is refused", async () => {
    const scripts: Record<string, Partial<Script>> = {};
    const cases: Record<string, Partial<typeof honestChange>> = {
      "a path for a name": { name: "../../../../escaped" },
      "no name": { name: "", prefix: "" },
      "another's prefix": { prefix: "z" },
      "a tree of 31 bytes": { tree: root.hash.subarray(1) },
      "no tree": { tree: new Uint8Array(0) },
      "version nought": { version: 0 },
      "a time beyond all": { updatedAt: 9e15 },
    };
    for (const [name, lie] of Object.entries(cases)) {
      scripts[name] = { change: () => ({ ...honestChange, ...lie }) };
    }
    scripts["nothing"] = { change: () => undefined };
    expect(await misjudged(corrupt, scripts)).toEqual([]);
  }, 60_000);

  test("a server that breaks off is unavailable, and what it began is finished later", async () => {
    const broken: Partial<Script> = {
      async *objects(hashes) {
        yield* messages(two);
        if (hashes.length > 0) throw new PogoError("unavailable", "gone");
      },
    };
    const { exitCode } = await cloneFrom(broken, ["dir", "one.txt"]);
    expect(exitCode).toBe(unavailable);
    server.script = honestScript();
    const target = join(pogo.home, `place-${runs}`, "target");
    await pogo.ok(["push"], { cwd: target });
    expect(readdirSync(join(target, "dir"))).toEqual(["two.txt"]);
    expect(readdirSync(target).sort()).toEqual([".pogo", "dir", "one.txt"]);
    expect(await pogo.json(["status"], { cwd: target })).toMatchObject({ clean: true });
  }, 30_000);
});

describe("in a working copy", () => {
  async function run(script: Partial<Script>, ...args: string[]) {
    server.script = { ...honestScript(), ...script };
    return await pogo.run(args, { cwd: copy });
  }

  test("cat prints a file that is what its tree says, or fails", async () => {
    expect(await run({}, "cat", "main", "one.txt")).toEqual({
      stdout: "one",
      stderr: "",
      exitCode: 0,
    });
    const liars: Record<string, Partial<Script>> = {
      "another object": { objects: () => messages(two) },
      "other contents": { objects: () => messages({ hash: one.hash, bytes: two.bytes }) },
      "no object": { objects: () => [] },
      "the object twice": { objects: () => messages(one, one) },
      "the object without end": { objects: () => endless(() => ({ parts: [partOf(one)] })) },
      "a malformed entry": { entry: () => Buffer.from("nonsense") },
      "an entry of a hostile name": { entry: () => fileEntry("../../x", 3, one.hash) },
    };
    for (const [name, script] of Object.entries(liars)) {
      // What an earlier command was sent, and found to be true, needs no server.
      rmSync(join(pogo.home, ".cache"), { recursive: true, force: true });
      const { exitCode, stdout } = await run(script, "cat", "main", "one.txt");
      expect([name, exitCode, stdout === "" || stdout === "one"]).toEqual([name, corrupt, true]);
    }
  }, 30_000);

  test("chunks that are not those of the list are refused", async () => {
    const chunks = [plainObject("a".repeat(objectBytesMax)), plainObject("b".repeat(1000))];
    const payload = chunkEntries(
      chunks.map(({ hash, bytes }) => ({ hash, size: bytes.length - 24 })),
    );
    const list = forgeObject(codecs.chunks, objectBytesMax + 1000, payload);
    const whole = sha256(Buffer.from("a".repeat(objectBytesMax) + "b".repeat(1000)));
    const entry = () => fileEntry("one.txt", objectBytesMax + 1000, whole);
    const serve = (hash: Uint8Array, pieces: Blob[]): Partial<Script> => ({
      entry: () => fileEntry("one.txt", objectBytesMax + 1000, hash),
      objects: (hashes) => messages(...(hashes.length === 1 ? [{ hash, bytes: list }] : pieces)),
    });
    expect(await run({ ...serve(whole, chunks), entry }, "cat", "main", "one.txt")).toMatchObject({
      exitCode: 0,
    });
    const other = sha256(Buffer.from("another file"));
    const cases: Partial<Script>[] = [
      serve(whole, chunks.toReversed()),
      serve(whole, chunks.slice(1)),
      serve(whole, chunks.slice(0, 1)),
      serve(whole, [...chunks, chunks[1]!]),
      serve(other, chunks),
    ];
    for (const script of cases) {
      expect((await run(script, "cat", "main", "one.txt")).exitCode).toBe(corrupt);
    }
  }, 30_000);

  test("lists without end are cut, and circles are told", async () => {
    const changes = () => endless(() => ({ changes: [honestChange, honestChange] }));
    const { exitCode, stdout } = await run({ changes }, "log", "-n", "3", "--json");
    expect([exitCode, JSON.parse(stdout).length]).toEqual([0, 3]);
    const bookmarks = () => ({ bookmarks: [{ name: "x", change: honestChange }], more: true });
    expect((await run({ bookmarks }, "bookmark", "list")).exitCode).toBe(corrupt);
    const nothing = () => ({ bookmarks: [], more: true });
    expect((await run({ bookmarks: nothing }, "bookmark", "list")).exitCode).toBe(0);
  }, 30_000);

  test("what a terminal would obey is spelled out", async () => {
    const hostile = "\u001b]0;owned\u0007\u001b[2J\u009b31m\rfine\u202e\u0000";
    const change = {
      ...honestChange,
      description: `${hostile}\n${hostile}`,
      author: hostile,
      versionAuthor: hostile,
      bookmarks: [hostile],
    };
    const file = forgeTree(fileEntry(`a${hostile.replace("\0", "")}`, 3, one.hash));
    const script: Partial<Script> = {
      change: () => ({ ...change, tree: file.hash }),
      changes: () => [{ changes: [change] }],
      bookmarks: () => ({ bookmarks: [{ name: hostile, change }], more: false }),
      trees: () => messages(file),
    };
    const commands = ["log", "show main", "info", "status", "bookmark list", "ls main", "diff"];
    const failing: Partial<Script> = {
      change() {
        throw new PogoError("denied", hostile, { hint: hostile });
      },
    };
    for (const color of ["--color=never", "--color=always"]) {
      for (const words of commands) {
        const outcome = await run(script, ...words.split(" "), color);
        expectHarmless(words, outcome.stdout + outcome.stderr);
      }
      const refused = await run(failing, "show", "main", color);
      expect(refused.exitCode).toBe(6);
      expectHarmless("error", refused.stdout + refused.stderr);
    }
    for (const words of commands) {
      const { stdout } = await run(script, ...words.split(" "), "--json");
      expectHarmless(`${words} --json`, stdout);
    }
  }, 60_000);
});

/** Nothing that a terminal would obey, but for colors of our own. */
function expectHarmless(what: string, text: string): void {
  const rest = text.replace(/\u001b\[(1|2|22|31|32|33|34|35|36|39)m/g, "");
  expect([what, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/.exec(rest)]).toEqual([
    what,
    null,
  ]);
}
