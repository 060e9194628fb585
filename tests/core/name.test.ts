import { describe, expect, test } from "bun:test";
import {
  changeName,
  checkBookmarkName,
  checkRepositoryName,
  checkTokenName,
  checkUserName,
  isChangeName,
  isChangePrefix,
  uniquePrefix,
} from "#core/name.ts";
import { formatRevision, parseRevision } from "#core/revision.ts";
import { seededRandom } from "../support/random.ts";

const { seed, random } = seededRandom();
const randomName = () => changeName(Uint8Array.from({ length: 8 }, () => random() * 256));

describe("change names", () => {
  test(`are 16 letters from k to z, one name for each 64 bits (seed ${seed})`, () => {
    expect(changeName(new Uint8Array(8))).toBe("z".repeat(16));
    expect(changeName(new Uint8Array(8).fill(255))).toBe("k".repeat(16));
    expect(changeName(Uint8Array.of(0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef))).toBe(
      "zyxwvutsrqponmlk",
    );
    const names = new Set(Array.from({ length: 1000 }, randomName));
    expect(names.size).toBe(1000);
    for (const name of names) expect(isChangeName(name)).toBe(true);
  });

  test("are told from other texts", () => {
    for (const text of ["", "abc", "K", "kz1", "k".repeat(17), "k ", "k\n"]) {
      expect(isChangePrefix(text)).toBe(false);
    }
    expect(isChangePrefix("k")).toBe(true);
    expect(isChangeName("k".repeat(15))).toBe(false);
  });

  test(`the unique prefix is the shortest that no other name begins with (seed ${seed})`, () => {
    for (let round = 0; round < 100; round++) {
      const shared = randomName().slice(0, 1 + Math.floor(random() * 14));
      const names = Array.from({ length: 1 + Math.floor(random() * 20) }, () =>
        random() < 0.5 ? shared + randomName().slice(shared.length) : randomName(),
      ).sort();
      for (const [index, name] of names.entries()) {
        if (names[index - 1] === name || names[index + 1] === name) continue;
        const prefix = uniquePrefix(name, names[index - 1], names[index + 1]);
        const begin = (text: string) => names.filter((other) => other.startsWith(text));
        expect(begin(prefix)).toEqual([name]);
        if (prefix.length > 1) expect(begin(prefix.slice(0, -1)).length).toBeGreaterThan(1);
      }
    }
  });
});

describe("names that people give", () => {
  const cases: [string, (name: string) => void, string[], string[]][] = [
    [
      "repository",
      checkRepositoryName,
      ["a", "Linux-6.1", "a_b", "0", "x".repeat(100)],
      ["", ".", "..", ".a", "-a", "a/b", "a b", "a\n", "é", "x".repeat(101), "a\0"],
    ],
    [
      "bookmark",
      checkBookmarkName,
      ["main", "v1.2.0", "feature/x", "été", "日本", "a-b", "1.0", "a+b=c#1", "x".repeat(200)],
      ["", "-a", "a-", "@", "a@b", "a~1", "a b", "a..b", "a//b", "/a", "a\n", "é".repeat(101)],
    ],
    [
      "user",
      checkUserName,
      ["root", "a.b", "A-1", "x".repeat(64)],
      ["", "-a", "a b", "a@b", "x".repeat(65), "é", "a\n"],
    ],
    [
      "token",
      checkTokenName,
      ["laptop of Ann", "日本", "x".repeat(100)],
      ["", "a\n", "\u001b[31m", "a\u202eb", "x".repeat(101), "é".repeat(51)],
    ],
  ];
  for (const [kind, check, allowed, refused] of cases) {
    test(`a ${kind}'s name is one that every system can hold and print`, () => {
      for (const name of allowed) check(name);
      for (const name of refused) {
        expect(() => check(name)).toThrow(expect.objectContaining({ code: "usage" }));
      }
    });
  }

  test(`every bookmark is also a revision, with any steps after it (seed ${seed})`, () => {
    const letters = ["a", "-", ".", "/", "_", "1", "é", "#", "=", "+", "k", "日"];
    let bookmarks = 0;
    for (let round = 0; round < 3000; round++) {
      const length = 1 + Math.floor(random() * 8);
      const name = Array.from(
        { length },
        () => letters[Math.floor(random() * letters.length)],
      ).join("");
      try {
        checkBookmarkName(name);
      } catch {
        continue;
      }
      bookmarks++;
      expect(parseRevision(name)).toEqual({ base: name, steps: [] });
      for (const steps of ["-", "--", "~2", "@3", "-@3~4"]) {
        const revision = parseRevision(name + steps);
        expect(revision.base).toBe(name);
        expect(formatRevision(revision)).toBe(name + steps);
      }
    }
    expect(bookmarks).toBeGreaterThan(100);
  });
});
