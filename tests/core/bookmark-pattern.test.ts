import { expect, test } from "bun:test";

import { checkBookmarkPattern, matchesPattern } from "#core/bookmark-pattern.ts";
import { isPogoError } from "#core/errors.ts";

test("a star stands for any text, also for none, and everything else for itself", () => {
  const cases: [pattern: string, name: string, matches: boolean][] = [
    ["main", "main", true],
    ["main", "main2", false],
    ["main", "Main", false],
    ["v*", "v", true],
    ["v*", "v1.2.0", true],
    ["v*", "dev", false],
    ["*", "anything/at/all", true],
    ["release/*", "release/1/2", true],
    ["release/*", "release", false],
    ["*-rc", "v1-rc", true],
    ["*-rc", "v1-rc2", false],
    ["a*b*c", "abc", true],
    ["a*b*c", "axxbyyc", true],
    ["a*b*c", "acb", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["*ab*ab", "ab", false],
    ["*ab*ab", "abab", true],
    ["v.", "v1", false],
    ["**", "", true],
  ];
  for (const [pattern, name, matches] of cases) {
    expect([pattern, name, matchesPattern(pattern, name)]).toEqual([pattern, name, matches]);
  }
});

test("a pattern that could match no bookmark is refused", () => {
  const isRefused = (pattern: string) => {
    try {
      checkBookmarkPattern(pattern);
      return false;
    } catch (error) {
      return isPogoError(error, "usage");
    }
  };
  for (const pattern of ["", " ", "-x", "a b", "a\0", "v?", "[a]", "a~1", "x".repeat(201)]) {
    expect([pattern, isRefused(pattern)]).toEqual([pattern, true]);
  }
  for (const pattern of ["main", "v*", "*", "release/*", "*-rc", "größe-*"]) {
    expect([pattern, isRefused(pattern)]).toEqual([pattern, false]);
  }
});
