import { expect, test } from "bun:test";
import { join } from "node:path";

const toy = join(import.meta.dir, "../support/toy-program.ts");

async function pogo(...args: string[]) {
  await using child = spawn(args);
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode };
}

function spawn(args: string[], environment: Record<string, string> = {}) {
  const env = { PATH: process.env["PATH"], TZ: "UTC", ...environment };
  return Bun.spawn([process.execPath, toy, ...args], {
    env,
    cwd: "/",
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function understood(...args: string[]) {
  const { stdout, stderr } = await pogo(...args, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

test("options, named positionals and the rest are told apart", async () => {
  expect(await understood("echo", "-n", "5", "one", "--message=a text", "two", "three")).toEqual({
    first: "one",
    second: "two",
    message: "a text",
    limit: "5",
    rest: ["three"],
    cwd: "/",
  });
  expect(await understood("e", "-n5", "--token-stdin", "--kind", "large", "one")).toEqual({
    first: "one",
    limit: "5",
    tokenStdin: true,
    kind: "large",
    rest: [],
    cwd: "/",
  });
});

test("a value is taken as it is, whatever it looks like", async () => {
  const texts = ["--no-json", "-q", "--", "", "two\nlines", "a=b", " "];
  for (const message of texts) {
    expect(await understood("echo", "-m", message, "one")).toMatchObject({ message });
    expect(await understood("echo", `--message=${message}`, "one")).toMatchObject({ message });
  }
});

test("two dashes end the options", async () => {
  const { stdout } = await pogo("--json", "echo", "--", "-n", "--json", "--");
  expect(JSON.parse(stdout)).toMatchObject({ first: "-n", second: "--json", rest: ["--"] });
});

test("global options stand before, between and after", async () => {
  for (const line of [
    ["-C", "/tmp", "--json", "group", "echo", "one"],
    ["group", "-C/tmp", "--json", "echo", "one"],
    ["g", "echo", "--json", "one", "-C", "/", "-C", "tmp"],
  ]) {
    expect(JSON.parse((await pogo(...line)).stdout)).toMatchObject({ first: "one", cwd: "/tmp" });
  }
});

test.each([
  [["echo", "one", "--mesage", "x"], "unknown option --mesage", "did you mean --message?"],
  [["echo", "one", "-z"], "unknown option -z", "pogo echo --help"],
  [["--colour"], "unknown option --colour", "did you mean --color?"],
  [["ehco", "one"], 'unknown command "ehco"', "did you mean pogo echo?"],
  [["group", "ecko"], 'unknown command "group ecko"', "did you mean pogo group echo?"],
  [["zzz"], 'unknown command "zzz"', "pogo --help"],
  [["echo"], "argument FIRST is missing", "pogo echo --help"],
  [["act", "more"], 'unexpected argument "more"', "pogo act --help"],
  [["echo", "one", "-m"], "option -m needs a value: -m TEXT", "pogo echo --help"],
  [["echo", "one", "-m", "a", "-m", "b"], "option --message is given twice", "pogo echo --help"],
  [["echo", "x", "--token-stdin=1"], "option --token-stdin takes no value", "pogo echo --help"],
  [["echo", "x", "--no-token-stdin"], "unknown option --no-token-stdin", undefined],
  [
    ["act", "--color", "blue"],
    'option --color is one of auto, always, never, not "blue"',
    undefined,
  ],
  [["echo", "x", "--kind=huge"], 'option --kind is one of small, large, not "huge"', undefined],
])("%j is refused", async (line, message, hint) => {
  const { stdout, stderr, exitCode } = await pogo(...line);
  expect(stderr).toStartWith(`pogo: error: ${message}\n`);
  if (hint) expect(stderr).toBe(`pogo: error: ${message}\npogo: hint: ${hint}\n`);
  expect(stdout).toBe("");
  expect(exitCode).toBe(2);
});

test("with --json an error is one object on stderr, even when the line is wrong before it", async () => {
  const refused = await pogo("fail", "this", "--json");
  expect(JSON.parse(refused.stderr)).toEqual({
    error: { code: "conflict", message: "the name is this", hint: "pogo status" },
  });
  expect(refused).toMatchObject({ stdout: "", exitCode: 5 });
  const wrong = await pogo("act", "--unheard-of", "--json");
  expect(JSON.parse(wrong.stderr)).toMatchObject({ error: { code: "usage" } });
});

test("a bug says so, and -v says where", async () => {
  const brief = await pogo("fail", "bug");
  expect(brief.stderr).toStartWith("pogo: error: internal error: a bug\npogo: hint: ");
  expect(brief.exitCode).toBe(1);
  const verbose = await pogo("fail", "bug", "-v");
  expect(verbose.stderr).toContain("toy-program.ts:");
});

test("what the operating system refuses is no bug", async () => {
  const { stderr, exitCode } = await pogo("fail", "system");
  expect(stderr).toBe('pogo: error: no such file or directory: open "/nowhere/at/all"\n');
  expect(exitCode).toBe(3);
});

test("-q keeps what was asked for and drops what was done", async () => {
  expect(await pogo("act")).toEqual({ stdout: "done\n", stderr: "a note\n", exitCode: 0 });
  expect(await pogo("act", "-q")).toEqual({ stdout: "", stderr: "", exitCode: 0 });
  expect(await pogo("echo", "one", "-q")).toMatchObject({ stdout: "one \n" });
  expect(await pogo("act", "-q", "--json")).toMatchObject({ stdout: '{"done":true}\n' });
});

test("control characters do not reach the terminal", async () => {
  const { stdout } = await pogo("echo", "\x1b]0;title\x07", "-m", "\x1b[2Jgone \u202e \r");
  expect(stdout).toBe('"\\033]0;title\\a" \\x1b[2Jgone \\u202e \\x0d\n');
  const { stderr } = await pogo("fail", "\x1b[31m");
  expect(stderr).toBe("pogo: error: the name is \\x1b[31m\npogo: hint: pogo status\n");
});

test("color is for terminals, unless it is asked for", async () => {
  expect((await pogo("echo", "one")).stdout).toBe("one \n");
  const always = ["echo", "one", "--color", "always"];
  expect((await pogo(...always)).stdout).toBe("\x1b[32mone\x1b[39m \n");
});

test("help and version", async () => {
  const { stdout: version } = await pogo("--version");
  expect(version).toMatch(/^pogo \d+\.\d+\.\d+\n$/);
  expect(await pogo("echo", "--version")).toMatchObject({ stdout: version, exitCode: 0 });
  const { stdout: help } = await pogo("help", "echo");
  expect(help).toMatchInlineSnapshot(`
    "Show what was understood

    usage: pogo echo [OPTION…] FIRST [SECOND] [PATH…]

    also: e

    arguments:
      FIRST   one
      SECOND  two
      PATH…   more

    options:
      -m, --message TEXT      a text
      -n, --limit N           a number
          --token-stdin       a flag
          --kind small|large  a choice

    options, of every command:
      -C, --directory DIR            run as if started in DIR
          --json                     print the result, or the error, as JSON
      -q, --quiet                    say nothing but what was asked for
      -v, --verbose                  say more, and where an error came from
          --color auto|always|never  color the output (default: auto; NO_COLOR is obeyed)
          --no-progress              show no progress
          --version                  print the version
      -h, --help                     explain the command

    examples:
      pogo echo a b
    "
  `);
  expect((await pogo("echo", "-h")).stdout).toBe(help);
  expect((await pogo("g", "--help")).stdout).toContain("usage: pogo group COMMAND");
  expect((await pogo("--help")).stdout).toContain("  group, g  a group\n");
  const none = await pogo();
  expect(none.stderr).toEndWith("pogo: error: no command is given\npogo: hint: pogo --help\n");
  expect(none).toMatchObject({ stdout: "", exitCode: 2 });
});

test("a directory that does not exist is refused", async () => {
  const { stderr, exitCode } = await pogo("-C", "/nowhere", "act");
  expect(stderr).toBe('pogo: error: directory "/nowhere" does not exist\n');
  expect(exitCode).toBe(3);
});

test.each([
  ["wait", "SIGINT", 130, "waiting\n", ""],
  ["clean", "SIGINT", 130, "waiting\ncleaned up\n", "pogo: interrupted\n"],
  ["clean", "SIGTERM", 143, "waiting\ncleaned up\n", "pogo: interrupted\n"],
] as const)("%s is ended by %s with %i", async (how, signal, code, said, complaint) => {
  await using child = spawn(["fail", how]);
  const reader = child.stdout.getReader();
  let stdout = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    if (stdout === "") child.kill(signal);
    stdout += new TextDecoder().decode(value);
  }
  expect(await child.stderr.text()).toBe(complaint);
  expect(stdout).toBe(said);
  expect(await child.exited).toBe(code);
});

test("a reader that leaves ends the command quietly", async () => {
  await using child = spawn(["flood"]);
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  expect(await child.stderr.text()).toBe("");
  expect(await child.exited).toBe(0);
});

test.if(process.platform === "linux")("a full disk under stdout is an error", async () => {
  await using child = Bun.spawn([process.execPath, toy, "act"], {
    stdout: Bun.file("/dev/full"),
    stderr: "pipe",
  });
  expect(await child.stderr.text()).toContain("pogo: error: cannot write to standard output");
  expect(await child.exited).toBe(7);
});
