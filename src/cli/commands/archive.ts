import { open, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";

import { publishedRevision, serverRevision } from "#client/revision.ts";
import { PogoError } from "#core/errors.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { ArchiveFormat, type GetArchiveResponse } from "#gen/pogo/v1/archive.ts";
import { command } from "../command.ts";
import { quoteName } from "../output.ts";
import { byteText } from "../progress.ts";
import { openSession } from "../session.ts";
import { repositoryPath } from "../working-copy.ts";

const formats = {
  zip: ArchiveFormat.ARCHIVE_FORMAT_ZIP,
  "tar.zst": ArchiveFormat.ARCHIVE_FORMAT_TAR_ZSTD,
};

export const archive = command({
  meta: {
    description: "write the files of a change to a zip or tar file",
    examples: [
      "pogo archive v1.2.0 -o game-1.2.0.zip",
      "pogo archive main --format tar.zst assets | tar -x --zstd -C /srv/game",
    ],
  },
  args: {
    revision: { type: "positional", required: true, valueHint: "REV", description: "the change" },
    format: {
      type: "enum",
      options: ["zip", "tar.zst"],
      description: "how; unless said, as the file's name ends, or zip",
    },
    output: {
      type: "string",
      alias: "o",
      valueHint: "FILE",
      description: "the file to write; unless said, stdout",
    },
  },
  rest: { valueHint: "PATH", description: "only these files and directories" },
  async run({ args, rest, context }) {
    const { output } = args;
    if (output === undefined && (context.terminal || context.json)) {
      const where = context.json ? "with --json" : "on a terminal";
      throw new PogoError("usage", `an archive is not printed ${where}`, {
        hint: `pogo archive ${args.revision} -o FILE`,
      });
    }
    const endsAsTar = /\.tar\.zst$|\.tzst$/i.test(output ?? "");
    const format = formats[args.format ?? (endsAsTar ? "tar.zst" : "zip")];
    await using session = await openSession(context);
    const { current, workspace, remote } = session;
    const revision =
      serverRevision(current, args.revision) ?? publishedRevision(current, args.revision);
    const named = rest.map((path) => repositoryPath(workspace, context.cwd, path));
    const paths = named.includes("") ? [] : named;
    const messages = remote.getArchive({ revision, format, paths });
    if (output === undefined) {
      for await (const { data } of messages) await context.write(data);
      return;
    }
    using line = context.progress("archiving");
    const { change, bytes } = await save(resolve(context.cwd, output), messages, line);
    context.report(
      { change: change?.name, version: change?.version, file: output, bytes },
      `wrote ${quoteName(output)}, ${byteText(bytes)}`,
    );
  },
});

/** Writes the archive under its name when it is whole, and else not at all. */
async function save(
  path: string,
  messages: AsyncGenerator<GetArchiveResponse>,
  line: { add(amount: { bytes: number }): void },
): Promise<{ change: Change | undefined; bytes: number }> {
  // What is refused is refused here, before anything is written.
  const first = await messages.next();
  const change = first.done ? undefined : first.value.change;
  const scratch = `${path}.${process.pid}.part`;
  const file = await open(scratch, "w");
  let bytes = 0;
  try {
    try {
      for await (const { data } of messages) {
        await file.writeFile(data);
        bytes += data.length;
        line.add({ bytes: data.length });
      }
    } finally {
      await file.close();
    }
    await rename(scratch, path);
  } catch (error) {
    await rm(scratch, { force: true });
    throw error;
  }
  return { change, bytes };
}
