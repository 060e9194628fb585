import { describe, expect, test } from "bun:test";

import { nearest } from "#cli/nearest.ts";
import { firstLine, printable, quoteName } from "#cli/output.ts";
import { byteText, durationText, progressText } from "#cli/progress.ts";
import { systemError } from "#cli/system-error.ts";

describe("names", () => {
  test.each([
    ["plain/näme 漢字", "plain/näme 漢字"],
    ['say "hi"', '"say \\"hi\\""'],
    ["back\\slash", '"back\\\\slash"'],
    ["two\nlines\t", '"two\\nlines\\t"'],
    ["\x1b[2J", '"\\033[2J"'],
    ["\u009b31m", '"\\302\\23331m"'],
    ["gnp\u202egpj", '"gnp\\342\\200\\256gpj"'],
  ])("%j is spelled %j", (name, spelled) => {
    expect(quoteName(name)).toBe(spelled);
  });
});

test("of what a terminal obeys, only our own styles stay, and only where there is color", () => {
  const text = "\x1b[31mred\x1b[39m \x1b[8mhidden \x1b]0;x\x07 \x9b2J\r\n\ttab";
  const escaped = "\\x1b[8mhidden \\x1b]0;x\\x07 \\x9b2J\\x0d\n\ttab";
  expect(printable(text, true)).toBe(`\x1b[31mred\x1b[39m ${escaped}`);
  expect(printable(text, false)).toBe(`\\x1b[31mred\\x1b[39m ${escaped}`);
  expect(firstLine("\n\n title \x07\nbody")).toBe("title \\x07");
});

test("a misspelled word finds the nearest, and a strange one finds nothing", () => {
  const words = ["status", "describe", "bookmark", "push"];
  expect(nearest("statsu", words)).toBe("status");
  expect(nearest("pusj", words)).toBe("push");
  expect(nearest("book", words)).toBe("bookmark");
  expect(nearest("zebra", words)).toBeUndefined();
});

test("progress says what is known, and the time left when it can be guessed", () => {
  const done = { files: 30, bytes: 3e6 };
  expect(progressText({ label: "sending", done, total: {}, elapsedMs: 100 })).toBe(
    "sending 30 files, 3.0 MB",
  );
  const total = { files: 120, bytes: 12e6 };
  expect(progressText({ label: "sending", done, total, elapsedMs: 3000 })).toBe(
    "sending  25%, 30 of 120 files, 3.0 MB of 12 MB, 1.0 MB/s, 9 s left",
  );
});

test("amounts and times are in units that people read", () => {
  expect([0, 999, 1000, 99_949, 999_600, 5.4e9].map(byteText)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "100 kB",
    "1.0 MB",
    "5.4 GB",
  ]);
  expect([0.2, 59.5, 61, 3700].map(durationText)).toEqual([
    "1 s",
    "1 min 0 s",
    "1 min 1 s",
    "1 h 1 min",
  ]);
});

test("what the operating system refuses has the code that fits", () => {
  const refusal = (code: string) => Object.assign(new Error(code), { code, syscall: "open" });
  expect(systemError(refusal("ENOSPC"))).toMatchObject({
    code: "unavailable",
    message: "no space left on device: open",
  });
  expect(systemError(refusal("EACCES"))?.code).toBe("denied");
  expect(systemError(refusal("EWEIRD"))?.message).toBe("system error EWEIRD: open");
  expect(systemError(new Error("a bug"))).toBeUndefined();
});
