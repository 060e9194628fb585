import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { directoryOutline, lastDirectoryId } from "#client/state-directories.ts";
import { checkout } from "#client/working-copy/checkout.ts";
import { scan } from "#client/working-copy/scan.ts";
import { finishRuns, verifyJob, verifyRuns } from "#client/working-copy/verify.ts";
import { openDirectoryReader } from "#native/directory.ts";
import { snapshotOf, temporaryWorkspace, type Files } from "../../support/workspace.ts";

const runIds = 64;

test("what a thread took and never did is verified by who waits for it", async () => {
  const files: Files = {};
  for (let index = 0; index < 5 * runIds; index++) files[`d${index}/file`] = "1";
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const { current, trees, fetch } = snapshotOf(files);
  await checkout({ workspace, fetch }, current, trees);
  // Once the clock of the file system has moved on, what the directories look like is recorded.
  await Bun.sleep(40);
  scan(workspace);
  const { state } = workspace;
  using reader = openDirectoryReader(root);
  writeFileSync(join(root, "d100/new"), "");

  const verified = (threadsThatDie: number) => {
    const job = verifyJob(lastDirectoryId(state), state.generation);
    Atomics.add(job.next, 0, threadsThatDie * runIds);
    verifyRuns(state, reader, job);
    if (threadsThatDie > 0) expect(job.done).toContain(0);
    finishRuns(state, reader, job);
    expect(job.done).not.toContain(0);
    return directoryOutline(state).flatMap(({ id, path }) => (job.clean[id] === 1 ? [path] : []));
  };
  const alone = verified(0);
  expect(alone).toContain("d101");
  expect(alone).not.toContain("d100");
  expect(verified(1)).toEqual(alone);
  expect(verified(3)).toEqual(alone);
});
