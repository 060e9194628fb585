import { serverRevision } from "#client/revision.ts";
import { PogoError } from "#core/errors.ts";
import type { Version } from "#gen/pogo/v1/query.ts";
import { changeJson, indentedDescription, localTime, shortName } from "../change-view.ts";
import { command } from "../command.ts";
import { positiveInteger } from "../options.ts";
import type { Style } from "../output.ts";
import { openSession } from "../session.ts";

export const evolog = command({
  meta: {
    description: "list all versions that a change has had, newest first",
    examples: ["pogo evolog", "pogo evolog kxyz", "pogo diff --from kxyz@2 --to kxyz@3"],
  },
  args: {
    revision: { type: "positional", required: false, valueHint: "REV", description: "which (@)" },
    limit: { type: "string", alias: "n", valueHint: "N", description: "at most N of them (all)" },
  },
  async run({ args, context }) {
    const limit = positiveInteger(args.limit, "--limit");
    await using session = await openSession(context);
    const revision = serverRevision(session.current, args.revision ?? "@");
    if (revision === undefined) {
      throw new PogoError("not-found", "the draft in this working copy has no versions yet", {
        hint: "pogo push",
      });
    }
    // The one before the last that is shown tells whether the parents changed.
    const asked = limit === undefined ? 0 : limit + 1;
    const versions = await Array.fromAsync(session.remote.listVersions(revision, asked));
    const shown = versions.slice(0, limit);
    context.print(shown.map(versionJson), (style) => {
      const entries = shown.map((version, index) => {
        return formatVersion(version, versions[index + 1], style);
      });
      return entries.join("\n");
    });
  },
});

function versionJson({ change, createdAt, diverged, expired }: Version) {
  const { version, currentVersion, versionAuthor, author, description } = change!;
  return {
    number: version,
    current: version === currentVersion,
    diverged,
    expired,
    author: versionAuthor || author,
    createdAt: new Date(createdAt).toISOString(),
    description,
    parents: changeJson(change!).parents,
    conflicted: change!.conflicted,
  };
}

function formatVersion(version: Version, before: Version | undefined, style: Style): string {
  const { createdAt, diverged, expired } = version;
  const change = version.change!;
  const isCurrent = change.version === change.currentVersion;
  const mark = isCurrent ? style.bold(style.green("@")) : "○";
  const author = change.versionAuthor || change.author;
  const notes = [
    ...(change.conflicted ? [style.red("conflict")] : []),
    ...(diverged ? [style.yellow("diverged: the change was never at it")] : []),
    ...(expired ? [style.dim("expired: its files may be gone")] : []),
  ];
  const name = `${shortName(change, style)}@${change.version}`;
  const head = [`${mark} ${name} ${author} ${style.dim(localTime(createdAt))}`, ...notes].join(" ");
  const lines = [head, indentedDescription(change.description, style).trimEnd()];
  if (before && !Bun.deepEquals(placesOf(before), placesOf(version))) {
    const parents = change.parents.map((parent) => {
      const { change: own, prefix } = parent;
      return `${shortName({ name: own, prefix }, style)}@${parent.version}`;
    });
    lines.push(`    ${style.dim("parents now:")} ${parents.join(", ") || "none"}`);
  }
  return `${lines.join("\n")}\n`;
}

function placesOf({ change }: Version): string[] {
  return change!.parents.map((parent) => `${parent.change}@${parent.version}`);
}
