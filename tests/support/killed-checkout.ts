/**
 * Goes on to the next of the seeded snapshots, again and again, until it is killed. Arguments:
 * root, seed. Prints the number of each round as it begins.
 */
import { checkout, recover } from "#client/working-copy/checkout.ts";
import { discard } from "#client/working-copy/discard.ts";
import { openWorkspace } from "#client/workspace.ts";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { seededSnapshot } from "./random-files.ts";

const [root = "", seed = "0"] = process.argv.slice(2);
using workspace = openWorkspace(root);
for (let round = 0; ; round++) {
  using _ = await workspace.lock();
  const { current, trees, fetch } = seededSnapshot(Number(seed), round);
  await recover({ workspace, fetch });
  process.stdout.write(`${round}\n`);
  await checkout({ workspace, fetch }, current, trees);
  writeFileSync(join(root, "precious"), `edit ${round}`);
  await discard({ workspace, fetch }, () => true);
}
