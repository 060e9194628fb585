/** Files put back by hand: the real program in a working copy. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { startMs } from "../support/postgres.ts";
import { openScene, type Copy, type Scene } from "../support/scene.ts";
import { readFiles } from "../support/workspace.ts";

setDefaultTimeout(startMs);

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

const textOf = ({ root }: Copy, path: string) => readFileSync(join(root, path), "utf8");

test("files are put back as they were elsewhere, and what they were is kept", async () => {
  const copy = await (await scene.person("ann")).init({ base: "base\n", one: "one\n" });
  await copy.ok("commit", "-m", "base");
  copy.write({ base: "edited\n", fresh: "fresh\n" });
  await copy.ok("push", "-m", "edits");
  copy.write({ base: "edited more\n" });
  const restored = await copy.json("restore", "base");
  expect(restored).toMatchObject({ files: [{ path: "base", status: "modified" }] });
  expect(textOf(copy, "base")).toBe("base\n");
  expect(readFileSync(join(copy.root, restored.keptIn, "base"), "utf8")).toBe("edited more\n");
  expect(await copy.json("status")).toMatchObject({
    clean: false,
    files: [{ path: "base", status: "modified" }],
  });
  await copy.ok("undo");
  expect(textOf(copy, "base")).toBe("edited more\n");
  await copy.ok("restore");
  expect(readFiles(copy.root)).toEqual({ base: "base\n", one: "one\n" });
  expect(await copy.ok("restore")).toContain("nothing to restore");
  await copy.ok("restore", "--from", "@@1", "fresh");
  expect(textOf(copy, "fresh")).toBe("fresh\n");
  expect(await copy.fails("restore", "nowhere")).toMatchObject({ code: "not-found" });
});
