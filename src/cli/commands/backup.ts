import { resolve } from "node:path";

import { PogoError } from "#core/errors.ts";
import { toHex } from "#core/hash.ts";
import { openBackup, listSnapshots, verifyBackup, type Backup } from "#server/backup/directory.ts";
import { keepMax, pruneBackup, type Pruned } from "#server/backup/prune.ts";
import { receiveBackup, type Received } from "#server/backup/receive.ts";
import { wholeNumber } from "../arguments.ts";
import { count } from "../change-view.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { byteText } from "../progress.ts";
import { connectToServer, serverArgs } from "../server-choice.ts";

export const backup = command({
  meta: {
    description: "back up a server that runs, so that pogo admin restore can bring it back",
    examples: [
      "pogo backup /mnt/backup",
      "pogo backup /mnt/backup --keep 30",
      "pogo backup --verify /mnt/backup",
    ],
  },
  args: {
    directory: {
      type: "positional",
      required: true,
      valueHint: "DEST",
      description: "directory of the server's backups; what it has already is not sent again",
    },
    keep: {
      type: "string",
      valueHint: "N",
      description: "then delete all snapshots but the newest N, and objects that only they need",
    },
    verify: {
      type: "boolean",
      description: "only read what is there, and say what of it is damaged; asks no server",
    },
    ...serverArgs,
  },
  async run({ args, context }) {
    const directory = resolve(context.cwd, args.directory);
    const keep = args.keep === undefined ? undefined : wholeNumber(args.keep, "--keep", 1, keepMax);
    if (args.verify && keep !== undefined) {
      throw new PogoError("usage", "--verify deletes nothing: --keep is for a backup");
    }
    if (args.verify) await verify(context, directory);
    else await make(context, directory, { server: args.server, keep });
  },
});

async function make(
  context: Context,
  directory: string,
  { server, keep }: { server: string | undefined; keep: number | undefined },
) {
  using connection = await connectToServer(context, server);
  await using destination = await openBackup(directory, { create: true });
  const parts = { channel: connection.channel, backup: destination };
  let received: Received;
  {
    using progress = context.progress("backing up");
    received = await receiveBackup(parts, { signal: context.signal, progress });
  }
  const { snapshot, objects, sentObjects, sentBytes, lost } = received;
  const report = { directory, ...received, lost: lost.map(toHex) };
  let pruned: Pruned | undefined;
  try {
    // What the newest lacks, an older one may be wanted for.
    if (keep !== undefined && lost.length === 0) {
      pruned = await prune(context, destination, { keep, made: snapshot });
    }
  } finally {
    context.report({ ...report, ...(pruned && { deleted: pruned }) }, () => {
      const sent = `${sentObjects} of ${objects} objects sent, ${byteText(sentBytes)}`;
      const made = `backed up to ${directory}: ${snapshot}, ${sent}`;
      return pruned ? `${made}\n${prunedText(pruned)}` : made;
    });
  }
  if (lost.length === 0) return;
  throw new PogoError("corrupt", `the server has lost ${lost.length} objects: all else is there`, {
    hint: "pogo verify says whose; pogo push --repair brings them back; then back up again",
  });
}

async function prune(
  context: Context,
  destination: Backup,
  which: { keep: number; made: string },
): Promise<Pruned | undefined> {
  using progress = context.progress("deleting");
  const pruned = await pruneBackup(destination, { ...which, signal: context.signal, progress });
  if (!pruned) context.note("somebody reads the backups: older snapshots stay until the next one");
  return pruned;
}

function prunedText({ snapshots, objects, bytes }: Pruned): string {
  const what = `${count(snapshots.length, "snapshot")}, ${count(objects, "object")}`;
  return `deleted ${what}, ${byteText(bytes)}`;
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
