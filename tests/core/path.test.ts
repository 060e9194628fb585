import { describe, expect, test } from "bun:test";
import { nameBytesMax, pathBytesMax, pathDepthMax, symlinkBytesMax } from "#core/limits.ts";
import {
  checkPath,
  foldName,
  joinPath,
  nameProblem,
  pathProblem,
  symlinkEscapes,
  symlinkProblem,
  windowsNameProblem,
} from "#core/path.ts";
import { seededRandom } from "../support/random.ts";

const { seed, random } = seededRandom();

describe("a name", () => {
  test("of any sensible kind is allowed", () => {
    const names = [
      "a",
      "a b",
      " ",
      'quo"te',
      "new\nline",
      "tab\t",
      "été",
      "日本",
      "😀",
      "-rf",
      "~",
    ];
    names.push(".gitignore", "...", "..a", "a..", ".pogoignore", "pogo", "pogo~", "a:b".slice(1));
    names.push("back\\slash", "CON", "x".repeat(nameBytesMax), "\u007f");
    for (const name of names) expect([name, nameProblem(name)]).toEqual([name, undefined]);
  });

  test("that would leave its directory, or that some system cannot hold, is refused", () => {
    const names = ["", ".", "..", "a/b", "/", "a\0b", "\ud800", "\udc00x", "C:", "c:x"];
    names.push("..\\x", "x\\..", "\\x", "x\\", "x\\.\\y", "a\\\\b");
    names.push("x".repeat(nameBytesMax + 1), "é".repeat(128));
    for (const name of names) expect([name, typeof nameProblem(name)]).toEqual([name, "string"]);
  });

  test("that some system would take for Pogo's own directory is refused", () => {
    const names = [".pogo", ".POGO", ".Pogo", ".pogo.", ".pogo ", ".pogo. .", "POGO~1", "pogo~12"];
    names.push(".po\u200cgo", "\ufeff.pogo", ".pogo\u200d", "x\\.pogo", ".pogo\\x", ".pogo\u200c.");
    names.push(".pogo:x", ".pogo::$INDEX_ALLOCATION", "pogo~1 .", ".\u206apogo. :x");
    for (const name of names) {
      const problem = expect.stringMatching(/Pogo's own|unsafe path on Windows/);
      expect([name, nameProblem(name)]).toEqual([name, problem]);
    }
  });

  test("that some system would take for git's own directory is refused", () => {
    const names = [
      ".git",
      ".GIT",
      ".Git",
      ".git.",
      ".git ",
      ".git . .",
      "GIT~1",
      "git~2",
      "git~1.",
    ];
    names.push(".g\u200cit", ".gi\ufefft", ".git\u200f", ".g\u0131t", "\u202a.git\u206f ");
    names.push(".git:x", ".git::$INDEX_ALLOCATION", ".git :x", ".git\\hooks", "x\\GIT~1");
    for (const name of names) {
      const problem = expect.stringMatching(/git's own|unsafe path on Windows/);
      expect([name, nameProblem(name)]).toEqual([name, problem]);
    }
    const others = [".gitignore", ".gitmodules", ".gitattributes", "git", ".git-blame", "..git"];
    others.push(".github", ".gito", "git~", "git~1x", "agit~1", ".git x", ".gité");
    for (const name of others) expect([name, nameProblem(name)]).toEqual([name, undefined]);
  });

  test("that Windows cannot hold is known", () => {
    for (const name of [
      "a:b",
      "a?",
      "a.",
      "a ",
      "con",
      "NUL.txt",
      "com1",
      "COM².x",
      "a\tb",
      "a\\b",
    ]) {
      expect([name, typeof windowsNameProblem(name)]).toEqual([name, "string"]);
    }
    for (const name of ["a", "console", "com", "com10", ".a", "a.b"]) {
      expect([name, windowsNameProblem(name)]).toEqual([name, undefined]);
    }
  });

  test("folds as on file systems that ignore case, normalization and trailing dots", () => {
    const same = [
      ["Makefile", "makefile", "MAKEFILE", "makefile.", "makefile "],
      ["\u00e9", "e\u0301", "\u00c9"],
      ["ΣΑΣ", "σας"],
      ["a\u200cb", "AB"],
    ];
    for (const names of same) expect(new Set(names.map(foldName)).size).toBe(1);
    expect(new Set(["a", "b", "a.b", "ab", "é", "e", ".", "..", "..."].map(foldName)).size).toBe(9);
  });
});

describe("a path", () => {
  test("is its parts, each of them allowed, none of them missing", () => {
    for (const path of ["a", "a/b", "a b/c\nd", "x/".repeat(pathDepthMax - 1) + "x"])
      checkPath(path);
    const refused = ["", "/", "/a", "a/", "a//b", "./a", "a/.", "../a", "a/../b", "a/.pogo/b"];
    refused.push(".pogo", "a/\0", "C:/x", "x/".repeat(pathDepthMax) + "x", "a/.git/hooks/b");
    refused.push("abcdefg/".repeat(pathBytesMax / 8) + "a");
    for (const path of refused) {
      expect([path, typeof pathProblem(path)]).toEqual([path, "string"]);
      expect(() => checkPath(path)).toThrow(expect.objectContaining({ code: "usage" }));
    }
  });

  test("joins a directory and a name", () => {
    expect([joinPath("", "a"), joinPath("a", "b"), joinPath("a/b", "c")]).toEqual([
      "a",
      "a/b",
      "a/b/c",
    ]);
  });
});

describe("a symlink", () => {
  test("has a relative target", () => {
    for (const target of ["a", "../a", ".", "a b", "é", "x".repeat(symlinkBytesMax)]) {
      expect(symlinkProblem(target)).toBe(undefined);
    }
    const refused = ["", "/", "/etc/passwd", "\\\\server", "C:\\x", "c:x", "a\0", "\ud800"];
    for (const target of [...refused, "x".repeat(symlinkBytesMax + 1)]) {
      expect([target, typeof symlinkProblem(target)]).toEqual([target, "string"]);
    }
  });

  test("stays in the repository and out of Pogo's directory and git's", () => {
    const inside = [
      ["a", "b"],
      ["a", "."],
      ["a/b", ".."],
      ["a/b/c", "../../d"],
      ["a/b", "../a/./b//c"],
      ["a", "..x/y"],
      ["a/b", "../.pogoignore"],
    ];
    for (const [path, target] of inside) {
      expect([path, target, symlinkEscapes(path!, target!)]).toEqual([path, target, false]);
    }
    const outside = [
      ["a", ".."],
      ["a", "../b"],
      ["a/b", "../../c"],
      ["a/b", "..\\..\\c"],
      ["a", "/b"],
      ["a", ".pogo"],
      ["a/b", "../.POGO/state"],
      ["a", ".git/hooks"],
      ["a/b", "../GIT~1"],
      ["a", "b/../../c"],
    ];
    for (const [path, target] of outside) {
      expect([path, target, symlinkEscapes(path!, target!)]).toEqual([path, target, true]);
    }
  });

  test(`leads nowhere outside through any chain of others (seed ${seed})`, () => {
    for (let round = 0; round < 2000; round++) {
      const links = new Map<string, string>();
      for (let index = 0; index < 6; index++) {
        const path = randomText(["a", "b", "c"], 4);
        const target = randomText(["..", "..", "a", "b", "c", "."], 6);
        const isBelowLink = [...links.keys()].some((link) => path.startsWith(`${link}/`));
        if (!isBelowLink && !symlinkEscapes(path, target)) links.set(path, target);
      }
      for (const path of links.keys())
        expect([[...links], follow(path, links)]).not.toContain("outside");
    }
  });
});

function randomText(parts: readonly string[], lengthMax: number): string {
  const length = 1 + Math.floor(random() * lengthMax);
  return Array.from({ length }, () => parts[Math.floor(random() * parts.length)]).join("/");
}

/** Walks as a system does, link by link; what is no link is taken for a directory. */
function follow(path: string, links: ReadonlyMap<string, string>): "inside" | "outside" {
  const at: string[] = [];
  const rest = path.split("/");
  for (let steps = 0; rest.length > 0 && steps < 500; steps++) {
    const part = rest.shift()!;
    if (part === "." || part === "") continue;
    if (part === "..") {
      if (at.pop() === undefined) return "outside";
      continue;
    }
    const target = links.get([...at, part].join("/"));
    if (target === undefined) at.push(part);
    else rest.unshift(...target.split("/"));
  }
  return "inside";
}
