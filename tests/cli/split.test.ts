/** Splitting a change as a person at a terminal does it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";

import { program } from "../support/pogo.ts";
import { startMs } from "../support/postgres.ts";
import { openScene, type Copy, type Scene } from "../support/scene.ts";

setDefaultTimeout(startMs);

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

/** Runs a command on a terminal, and types an answer each time it asks for one. */
async function answering(copy: Copy, args: string[], answers: string[]) {
  let screen = "";
  let asked = 0;
  await using child = Bun.spawn([...program, ...args], {
    cwd: copy.root,
    env: { ...copy.person.environment, TERM: "dumb" },
    terminal: {
      cols: 100,
      rows: 40,
      data(terminal, bytes) {
        screen += new TextDecoder().decode(bytes);
        const questions = screen.split("[y,n,a,d,q,?] ").length - 1;
        while (asked < questions && asked < answers.length) terminal.write(`${answers[asked++]}\r`);
      },
    },
  });
  const exitCode = await child.exited;
  child.terminal?.close();
  return { screen, exitCode };
}

test("hunks are taken one by one, and the rest comes on top", async () => {
  const ann = await scene.person("ann");
  const lines = Array.from({ length: 30 }, (_, line) => `${line}\n`).join("");
  const copy = await ann.init({ f: lines, gone: "gone\n" });
  await copy.ok("commit", "-m", "base");
  const edited = lines.replace("2\n", "two\n").replace("25\n", "twenty-five\n");
  copy.write({ f: edited, new: "new\n", other: "other\n" });
  await copy.ok("push", "-m", "all");
  const { screen, exitCode } = await answering(
    copy,
    ["split", "-m", "some"],
    ["?", "y", "n", "y", "q"],
  );
  expect(screen).toContain("take this hunk of f (1 of 2)? [y,n,a,d,q,?] ");
  expect(screen).toContain("+two");
  expect(screen).toContain("leave it");
  expect(screen).toContain("take new? [y,n,a,d,q,?] ");
  expect(screen).toContain("first ");
  expect(exitCode).toBe(0);
  expect(await copy.json("show", "@-")).toMatchObject({
    description: "some",
    files: [
      { path: "f", status: "modified" },
      { path: "new", status: "added" },
    ],
  });
  expect(await copy.ok("cat", "@-", "f")).toBe(lines.replace("2\n", "two\n"));
  expect(await copy.json("show", "@")).toMatchObject({
    description: "all",
    files: [{ path: "f" }, { path: "other" }],
  });
  expect(await copy.ok("cat", "@", "f")).toBe(edited);
  expect(await copy.json("status")).toMatchObject({ clean: true });
  const none = await answering(copy, ["split"], ["q"]);
  expect(none.screen).toContain("nothing was picked");
  expect(none.exitCode).toBe(2);
});
