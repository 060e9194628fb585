import { isDraft } from "#client/revision.ts";
import { scan, type Difference } from "#client/working-copy/scan.ts";
import type { CurrentChange } from "#client/state.ts";
import { count, indentedDescription, shortName, subject } from "../change-view.ts";
import { command } from "../command.ts";
import { conflictLines } from "../conflict-view.ts";
import { openRecovered } from "../working-copy.ts";
import { fileLine } from "../file-view.ts";
import type { Style } from "../output.ts";

export const status = command({
  meta: { description: "show the working copy's change and what differs from it" },
  async run({ context }) {
    using workspace = await openRecovered(context);
    const { differences, conflicted } = scan(workspace);
    const { current } = workspace.state;
    const files = differences.map(({ path, status }) => ({ path, status }));
    const clean = files.length === 0;
    const value = { change: currentJson(current), clean, files, conflicts: conflicted };
    context.print(value, (style) => {
      const lines = [describe(current, differences, style)];
      return [...lines, ...conflictLines(conflicted, style)].join("\n");
    });
  },
});

/** The working copy's change for programs. */
function currentJson(current: CurrentChange) {
  const { name, prefix, description, bookmarks, sealed, conflicted, version } = current;
  const parents = current.parents.map(({ change }) => change);
  const draft = isDraft(current);
  return { name, prefix, description, parents, bookmarks, sealed, conflicted, draft, version };
}

function describe(current: CurrentChange, differences: Difference[], style: Style): string {
  const state = isDraft(current) ? style.yellow("draft") : `version ${current.version}`;
  const bookmarks = current.bookmarks.map((name) => ` ${style.green(name)}`).join("");
  const lines = [
    `change ${shortName(current, style)} (${state}${current.sealed ? ", sealed" : ""})${bookmarks}`,
    indentedDescription(current.description, style).trimEnd(),
  ];
  for (const parent of current.parents) {
    const name = shortName({ name: parent.change, prefix: parent.prefix }, style);
    lines.push(`parent ${name} ${subject(parent.description, style)}`);
  }
  const { prefix, newestVersion } = current;
  if (newestVersion !== undefined) {
    const theirs = `${prefix}@${newestVersion}`;
    lines.push(style.red(`others have pushed version ${newestVersion}`) + `: pogo show ${theirs}`);
  }
  if (differences.length === 0) lines.push("no file changed");
  else lines.push(`${count(differences.length, "file")} changed${sealedNote(current)}:`);
  for (const difference of differences) lines.push(fileLine(difference, style));
  return lines.join("\n");
}

function sealedNote({ sealed }: CurrentChange): string {
  return sealed ? ", which a push makes a new change of" : "";
}
