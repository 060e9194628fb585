import { resolve } from "node:path";

import { PogoError } from "#core/errors.ts";
import { toHex } from "#core/hash.ts";
import { openBackup, listSnapshots, verifyBackup } from "#server/backup/directory.ts";
import { receiveBackup, type Received } from "#server/backup/receive.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { byteText } from "../progress.ts";
import { connectToServer, serverArgs } from "../server-choice.ts";

export const backup = command({
  meta: {
    description: "back up a server that runs, so that pogo admin restore can bring it back",
    examples: ["pogo backup /mnt/backup", "pogo backup --verify /mnt/backup"],
  },
  args: {
    directory: {
      type: "positional",
      required: true,
      valueHint: "DEST",
      description: "directory of the server's backups; what it has already is not sent again",
    },
    verify: {
      type: "boolean",
      description: "only read what is there, and say what of it is damaged; asks no server",
    },
    ...serverArgs,
  },
  async run({ args, context }) {
    const directory = resolve(context.cwd, args.directory);
    if (args.verify) await verify(context, directory);
    else await make(context, directory, args.server);
  },
});

async function make(context: Context, directory: string, server: string | undefined) {
  using connection = await connectToServer(context, server);
  await using destination = await openBackup(directory, { create: true });
  const parts = { channel: connection.channel, backup: destination };
  let received: Received;
  {
    using progress = context.progress("backing up");
    received = await receiveBackup(parts, { signal: context.signal, progress });
  }
  const { snapshot, objects, sentObjects, sentBytes, lost } = received;
  context.report({ directory, ...received, lost: lost.map(toHex) }, () => {
    const sent = `${sentObjects} of ${objects} objects sent, ${byteText(sentBytes)}`;
    return `backed up to ${directory}: ${snapshot}, ${sent}`;
  });
  if (lost.length === 0) return;
  throw new PogoError("corrupt", `the server has lost ${lost.length} objects: all else is there`, {
    hint: "pogo verify says whose; pogo push --repair brings them back; then back up again",
  });
}

async function verify(context: Context, directory: string) {
  await using source = await openBackup(directory);
  const snapshots = listSnapshots(source);
  const total = { objects: 0, bytes: 0 };
  const problems: string[] = [];
  {
    using line = context.progress("verifying");
    for await (const { objects, bytes, problems: found } of verifyBackup(source)) {
      context.signal.throwIfAborted();
      line.add({ files: objects, bytes });
      total.objects += objects;
      total.bytes += bytes;
      problems.push(...found);
    }
  }
  context.print({ directory, snapshots, ...total, problems }, () => {
    const what = `verified ${snapshots.length} snapshots, ${total.objects} objects`;
    return [...problems, what].join("\n");
  });
  if (problems.length === 0) return;
  const what = problems.length === 1 ? "1 thing is" : `${problems.length} things are`;
  throw new PogoError("corrupt", `${what} not as it must be in ${directory}`, {
    hint: "delete damaged files there: the next pogo backup fetches objects again",
  });
}
