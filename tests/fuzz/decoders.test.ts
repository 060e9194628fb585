/**
 * Everything that takes bytes or text from outside, with mutations of what is right: it may refuse
 * them, and must not do anything else. A failure prints the seed; POGO_TEST_SEED repeats it.
 * POGO_TEST_FUZZ says for how many seconds each. `seeds.json` keeps inputs that are worth being
 * tried at every run, as they are and mutated: what once failed belongs there.
 */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";

import { checkBookmarkPattern, matchesPattern } from "#core/bookmark-pattern.ts";
import { isPogoError } from "#core/errors.ts";
import { sha256 } from "#core/hash.ts";
import {
  checkBookmarkName,
  checkRepositoryName,
  checkTokenName,
  checkUserName,
} from "#core/name.ts";
import {
  decodeChunkList,
  decodeObject,
  encodeChunkList,
  encodeObject,
  encodeSealed,
  inspectObject,
  objectHeaderBytes,
} from "#core/object.ts";
import { checkPath, foldName, symlinkEscapes, symlinkProblem } from "#core/path.ts";
import { formatRevision, parseRevision } from "#core/revision.ts";
import { decodeTree, emptyTreeHash, encodeTree, type Entry } from "#core/tree.ts";
import { readAddresses } from "#rpc/forwarded.ts";
import { isInvite, isMistyped, newInviteText, newTokenText } from "#server/access/secret-text.ts";
import { checkDescription } from "#server/services/requests.ts";
import { seededRandom } from "../support/random.ts";
import seeds from "./seeds.json" with { type: "json" };

const seconds = Number(process.env["POGO_TEST_FUZZ"] ?? 0.2);
// The machine may be busy: a decoder that hangs takes longer still.
const inputMsMax = 5000;
const memoryBytesMax = 768 * 1024 * 1024;
const memoryCheckedEvery = 1024;

type Random = () => number;

/** Bytes that are right, to begin with, and what is done with what becomes of them. */
type ByteTarget = { corpus: Uint8Array[]; take(bytes: Uint8Array, random: Random): void };
type TextTarget = { corpus: string[]; take(text: string, random: Random): void };

const text = Buffer.from("the same line again and again\n".repeat(200));
const noise = crypto.getRandomValues(new Uint8Array(3000));
const objects = [
  ...[text, noise, new Uint8Array(0)].map((raw) => encodeObject(raw)),
  encodeObject(text, "deflate"),
  encodeSealed(40, new Uint8Array(72)),
];
const file: Entry = { kind: "file", name: "a.txt", executable: true, size: 3, hash: sha256(text) };
const trees = [
  encodeTree([file]),
  encodeTree([
    file,
    { kind: "directory", name: "d", hash: emptyTreeHash },
    { kind: "symlink", name: "link", target: "../a.txt" },
    { ...file, kind: "file", name: "ünïcode 🎈", size: 2 ** 40 },
  ]),
];

const byteTargets: Record<string, ByteTarget> = {
  object: {
    corpus: objects,
    take(mutated, random) {
      const bytes = withChecksum(mutated, random);
      const { rawSize } = inspectObject(bytes);
      expect(rawSize).toBeGreaterThanOrEqual(0);
      decodeObject(random() < 0.5 ? sha256(text) : sha256(noise), bytes);
    },
  },
  "chunk list": {
    corpus: [
      encodeChunkList([
        { hash: sha256(text), size: 3 },
        { hash: sha256(noise), size: 9 },
      ]),
    ],
    take: (bytes, random) => void decodeChunkList(withChecksum(bytes, random)),
  },
  tree: {
    corpus: trees,
    // There is one way to write a tree: what is read as one is written as it was.
    take: (bytes) => expect(Buffer.from(encodeTree(decodeTree(bytes)))).toEqual(Buffer.from(bytes)),
  },
};

const names = ["main", "v1.2.0", "release/2026", "größe", "a b", "..", "con", "a\u0301", "@", ""];

const textTargets: Record<string, TextTarget> = {
  path: {
    corpus: ["src/main.ts", "a/../b", ".pogo/x", "C:\\x", "nul.txt", "a//b", ...names],
    take(path) {
      foldName(path);
      symlinkProblem(path);
      symlinkEscapes("a/b", path);
      checkPath(path);
      for (const part of path.split("/")) expect(["", ".", ".."]).not.toContain(part);
      expect(path).not.toContain("\0");
    },
  },
  revision: {
    corpus: ["main", "@", "@-", "kxyz~12", "kxyz@3-", "main~2-@1", ...names],
    take(revision) {
      const parsed = parseRevision(revision);
      expect(parseRevision(formatRevision(parsed))).toEqual(parsed);
    },
  },
  name: {
    corpus: names,
    take(name, random) {
      const check = [checkBookmarkName, checkRepositoryName, checkUserName, checkTokenName];
      check[Math.floor(random() * check.length)]!(name);
      expect(name).not.toMatch(/\p{Cc}/u);
    },
  },
  pattern: {
    corpus: ["v*", "*-rc", "a*b*c", "**", "*a*a*a*a*a*a*a*b", "release/*", ...names],
    take(pattern, random) {
      const name = pattern.replaceAll("*", () => "ab".repeat(Math.floor(random() * 20)));
      const isMatch = matchesPattern(pattern, name);
      const parts = pattern.split("*").map((part) => RegExp.escape(part));
      // The oracle is the slow one.
      if (parts.length > 5 || name.length > 200) return checkBookmarkPattern(pattern);
      expect(new RegExp(`^${parts.join(".*")}$`, "s").test(name)).toBe(isMatch);
      checkBookmarkPattern(pattern);
    },
  },
  token: {
    corpus: [newTokenText(), newInviteText(), "pogo_", "pogoinvite_"],
    take(token) {
      isInvite(token);
      isMistyped(token);
      // One letter that is another is always found out.
      const good = newTokenText();
      const at = 5 + (token.length % 38);
      const other = good[at] === "x" ? "y" : "x";
      expect(isMistyped(good)).toBe(false);
      expect(isMistyped(`${good.slice(0, at)}${other}${good.slice(at + 1)}`)).toBe(true);
    },
  },
  description: {
    corpus: ["fix the frame\n\nof the window", "\u001b]0;x\u0007", "\ud800", "a\u009b31m"],
    take(description) {
      checkDescription(description);
      expect(description).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
    },
  },
  "forwarded address": {
    corpus: ["198.51.100.1", "6.6.6.6, 10.0.0.1", "[fd00::1]:80", "unknown", "::ffff:10.0.0.1"],
    take(forwarded) {
      const address = readAddresses(["127.0.0.1", "10.0.0.0/8"])("127.0.0.1", [forwarded]);
      expect(isIP(address)).toBeGreaterThan(0);
    },
  },
};

for (const [name, { corpus, take }] of Object.entries(byteTargets)) {
  const kept = keptSeeds(name).map((hex) => Uint8Array.fromHex(hex));
  const claim = `${name}: what is no ${name} is refused`;
  test(claim, () => fuzz(name, [...corpus, ...kept], mutateBytes, take), 3_600_000);
}
for (const [name, { corpus, take }] of Object.entries(textTargets)) {
  const claim = `${name}: what is no ${name} is refused`;
  test(claim, () => fuzz(name, [...corpus, ...keptSeeds(name)], mutateText, take), 3_600_000);
}

test("message: what is no message is refused", async () => {
  type Message = { decode(bytes: Uint8Array): unknown };
  const directory = join(import.meta.dir, "../../src/gen/pogo/v1");
  const messages: Message[] = [];
  for (const file of readdirSync(directory)) {
    const exported = (await import(join(directory, file))) as Record<string, Partial<Message>>;
    for (const value of Object.values(exported)) {
      if (typeof value?.decode === "function") messages.push(value as Message);
    }
  }
  expect(messages.length).toBeGreaterThan(50);
  const kept = keptSeeds("message").map((hex) => Uint8Array.fromHex(hex));
  fuzz("message", [...objects, ...kept], mutateBytes, (bytes, random) => {
    try {
      messages[Math.floor(random() * messages.length)]!.decode(bytes);
    } catch (error) {
      // The generated code says so in its own way; gRPC answers that with an error.
      if (!(error instanceof Error) || error instanceof TypeError) throw error;
    }
  });
}, 3_600_000);

function keptSeeds(name: string): string[] {
  return (seeds as Record<string, string[]>)[name] ?? [];
}

/** What a checksum rejects says nothing about what comes after it. */
function withChecksum(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length < objectHeaderBytes || random() < 0.3) return bytes;
  const right = Buffer.from(bytes);
  right.writeBigUInt64LE(Bun.hash.xxHash64(right.subarray(objectHeaderBytes)), 16);
  return right;
}

function fuzz<Input extends Uint8Array | string>(
  name: string,
  corpus: readonly Input[],
  mutate: (input: Input, corpus: readonly Input[], random: Random) => Input,
  take: (input: Input, random: Random) => void,
): void {
  const { seed, random } = seededRandom();
  const startedMs = performance.now();
  let input = corpus[0]!;
  let count = 0;
  let slowestMs = 0;
  let memoryBytes = 0;
  try {
    for (; count < 2 * corpus.length || performance.now() - startedMs < seconds * 1000; count++) {
      // First each as it is.
      input = corpus[count] ?? corpus[Math.floor(random() * corpus.length)]!;
      for (let times = count < corpus.length ? 0 : Math.floor(random() * 6); times > 0; times--) {
        input = mutate(input, corpus, random);
      }
      const beganMs = performance.now();
      try {
        take(input, random);
      } catch (error) {
        if (!isPogoError(error)) throw error;
      }
      slowestMs = Math.max(slowestMs, performance.now() - beganMs);
      if (slowestMs > inputMsMax) throw new Error(`it took ${slowestMs} ms`);
      if (count % memoryCheckedEvery > 0) continue;
      memoryBytes = Math.max(memoryBytes, process.memoryUsage.rss());
      if (memoryBytes > memoryBytesMax) throw new Error(`it holds ${memoryBytes} bytes`);
    }
  } catch (error) {
    const shown = typeof input === "string" ? input : Buffer.from(input).toString("hex");
    console.error(`POGO_TEST_SEED=${seed}; for ${name} in seeds.json: ${JSON.stringify(shown)}`);
    throw error;
  }
  if (seconds < 1) return;
  const took = `${Math.round((performance.now() - startedMs) / 1000)} s, slowest ${slowestMs | 0} ms`;
  const held = `${Math.round(memoryBytes / 1024 ** 2)} MiB`;
  console.log(`${name}: ${count.toLocaleString("en")} inputs in ${took}, ${held}, seed ${seed}`);
}

function mutateBytes(input: Uint8Array, corpus: readonly Uint8Array[], random: Random): Uint8Array {
  const bytes = Buffer.from(input);
  const at = Math.floor(random() * (bytes.length + 1));
  const length = Math.floor(random() * Math.min(64, bytes.length - at + 1));
  const extremes = [0, 1, 0x7f, 0x80, 0xff];
  switch (Math.floor(random() * 6)) {
    case 0:
      if (at < bytes.length) bytes[at]! ^= 1 << Math.floor(random() * 8);
      return bytes;
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 4:
      bytes.fill(extremes[Math.floor(random() * extremes.length)]!, at, at + length);
      return bytes;
    default: {
      const other = corpus[Math.floor(random() * corpus.length)]!;
      const from = Math.floor(random() * (other.length + 1));
      return Buffer.concat([bytes.subarray(0, at), other.subarray(from)]);
    }
  }
}

function mutateText(input: string, corpus: readonly string[], random: Random): string {
  const odd = ["\0", "\u001b", "\n", "/", "\\", "..", "*", "~", "@", "-", "\u202e", "\ud800", "🎈"];
  const at = Math.floor(random() * (input.length + 1));
  const length = Math.floor(random() * Math.min(16, input.length - at + 1));
  switch (Math.floor(random() * 5)) {
    case 0:
      return input.slice(0, at) + odd[Math.floor(random() * odd.length)]! + input.slice(at);
    case 1:
      return input.slice(0, at);
    case 2:
      return input.slice(0, at) + input.slice(at + length);
    case 3:
      return input.slice(0, at + length).repeat(1 + Math.floor(random() * 8)) + input.slice(at);
    default:
      return input.slice(0, at) + corpus[Math.floor(random() * corpus.length)]!;
  }
}
