import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { equalHashes } from "#core/hash.ts";
import { checkout, recover } from "#client/working-copy/checkout.ts";
import { listDiscards } from "#client/working-copy/discard.ts";
import {
  beginOperation,
  interruptedOperation,
  readSteps,
  stagedPath,
} from "#client/working-copy/journal.ts";
import { planCheckout } from "#client/working-copy/plan.ts";
import { scan } from "#client/working-copy/scan.ts";
import { stageSteps } from "#client/working-copy/stage.ts";
import { openWorkspace } from "#client/workspace.ts";
import { randomFiles, randomFrom, seededSnapshot } from "../../support/random-files.ts";
import { seededRandom } from "../../support/random.ts";
import { plainFiles, readFiles, snapshotOf, temporaryWorkspace } from "../../support/workspace.ts";

const { seed } = seededRandom();
const silent = { add() {} };
const offline = () => {
  throw new Error("the server is not asked");
};

test("a killed checkout or discard is finished or undone, and no edit is lost", async () => {
  const random = randomFrom(seed);
  const snapshotSeed = random.next(1000);
  using temporary = temporaryWorkspace();
  const { root } = temporary;
  temporary.workspace[Symbol.dispose]();
  const script = join(import.meta.dir, "../../support/killed-checkout.ts");
  for (let kill = 0; kill < 8; kill++) {
    const child = Bun.spawn([process.execPath, script, root, String(snapshotSeed)], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const rounds = child.stdout.getReader();
    const first = await rounds.read();
    let round = Number(new TextDecoder().decode(first.value).trim().split("\n").at(-1));
    const wanted = random.next(3);
    while (round < wanted) {
      const { value } = await rounds.read();
      round = Number(new TextDecoder().decode(value).trim().split("\n").at(-1));
    }
    const until = performance.now() + random.next(40);
    while (performance.now() < until) await Bun.sleep(0);
    child.kill("SIGKILL");
    await child.exited;

    using workspace = openWorkspace(root);
    using _ = await workspace.lock();
    const context = `seed ${seed}, kill ${kill}`;
    const operation = interruptedOperation(workspace);
    const snapshots = Array.from({ length: 40 }, (_, number) =>
      seededSnapshot(snapshotSeed, number),
    );
    const fetch = operation?.phase === "filling" ? seededSnapshot(snapshotSeed, 0).fetch : offline;
    const recovery = await recover({ workspace, fetch });
    expect(recovery?.kept ?? [], context).toEqual([]);
    const { current } = workspace.state;
    const snapshot = snapshots.find((candidate) => equalHashes(candidate.root, current.tree));
    const expected = plainFiles(snapshot?.files ?? {});
    const found = readFiles(root);
    // The edit is in its place, or was thrown away and kept.
    delete found["precious"];
    expect(found, context).toEqual(expected);
    const changed = scan(workspace).differences.map(({ path }) => path);
    expect(
      changed.filter((path) => path !== "precious"),
      context,
    ).toEqual([]);
    for (const { directory } of listDiscards(workspace)) {
      expect(readFileSync(join(directory, "precious"), "utf8"), context).toStartWith("edit ");
    }
    rmSync(join(root, "precious"), { force: true });
  }
}, 120_000);

/** A working copy in which a checkout stopped after everything was fetched. */
async function interrupted(before: Record<string, string>, after: Record<string, string>) {
  const temporary = temporaryWorkspace();
  const { workspace } = temporary;
  const old = snapshotOf(before);
  await checkout({ workspace, fetch: old.fetch }, old.current, old.trees);
  const { fetch, current, trees } = snapshotOf(after);
  const plan = planCheckout(workspace, trees, current.tree, []);
  const operation = { kind: "checkout", phase: "applying", current } as const;
  beginOperation(workspace, operation, plan.steps, plan.trees);
  await stageSteps({ workspace, fetch }, plan.steps, silent);
  return { ...temporary, target: current };
}

test("what was edited after an interruption is left alone", async () => {
  using temporary = await interrupted(
    { a: "1", b: "1", gone: "1", "d/gone": "1" },
    { a: "2", b: "2", new: "2" },
  );
  const { root, workspace, target } = temporary;
  for (const path of ["a", "gone", "new"]) writeFileSync(join(root, path), "mine");
  const recovery = await recover({ workspace, fetch: offline });
  expect(recovery).toEqual({
    kind: "checkout",
    outcome: "finished",
    target,
    kept: ["gone", "a", "new"],
  });
  expect(readFiles(root)).toEqual({ a: "mine", b: "2", gone: "mine", new: "mine" });
  expect(interruptedOperation(workspace)).toBeUndefined();
  expect(workspace.state.current).toEqual(target);
  expect(await recover({ workspace, fetch: offline })).toBeUndefined();
});

test("a directory that had taken the place of a file is not in the way of removing that", async () => {
  using temporary = await interrupted({ a: "1", b: "1" }, { "a/b": "2", b: "2" });
  const { root, workspace } = temporary;
  // As far as it had come when it was killed.
  const [, write] = readSteps(workspace);
  rmSync(join(root, "a"));
  mkdirSync(join(root, "a"));
  renameSync(stagedPath(workspace, write!), join(root, write!.path));
  expect((await recover({ workspace, fetch: offline }))?.kept).toEqual([]);
  expect(readFiles(root)).toEqual({ "a/b": "2", b: "2" });
});

test("a first checkout that was interrupted goes on with what is missing", async () => {
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const snapshot = snapshotOf(randomFiles(randomFrom(seed), 60));
  const { current, trees } = snapshot;
  let sent = 0;
  const breaking: typeof snapshot.fetch = async function* (wanted) {
    for await (const object of snapshot.fetch(wanted)) {
      if (++sent > 3) throw new Error("connection lost");
      yield object;
    }
  };
  const attempt = checkout({ workspace, fetch: breaking }, current, trees);
  expect(await attempt.catch((error) => error.message)).toBe("connection lost");
  expect(interruptedOperation(workspace)?.phase).toBe("filling");
  const asked: number[] = [];
  const fetch: typeof snapshot.fetch = (wanted) => {
    asked.push(wanted.length);
    return snapshot.fetch(wanted);
  };
  const recovery = await recover({ workspace, fetch });
  expect(recovery?.outcome).toBe("finished");
  expect(readFiles(root)).toEqual(plainFiles(snapshot.files));
  expect(existsSync(join(workspace.control, "incoming"))).toBe(false);
  expect(readdirSync(workspace.control)).not.toContain("discarded");
});
