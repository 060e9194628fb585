import { resolve } from "node:path";

import { toHex } from "#core/hash.ts";
import { restoreBackup, type Restored } from "#server/backup/restore.ts";
import { command } from "../../command.ts";
import { byteText } from "../../progress.ts";
import { readStorage, storageArgs } from "../../storage-options.ts";

export const adminRestore = command({
  meta: {
    description: "make a server's data from a backup, in an empty place; then serve it",
    examples: [
      "pogo admin restore /mnt/backup --data /srv/pogo",
      "pogo admin restore /mnt/backup --database postgres://pogo@db/pogo",
    ],
  },
  args: {
    source: {
      type: "positional",
      required: true,
      valueHint: "SRC",
      description: "directory that pogo backup wrote",
    },
    snapshot: {
      type: "string",
      valueHint: "NAME",
      description: "as it was then, as in SRC/snapshots; the newest unless said otherwise",
    },
    ...storageArgs,
    insecureHttp: { type: "boolean", description: "write to a bucket without TLS" },
    skipDamaged: {
      type: "boolean",
      description: "restore all else when objects of the backup are damaged or gone",
    },
  },
  async run({ args, context }) {
    let restored: Restored;
    {
      using progress = context.progress("restoring");
      restored = await restoreBackup({
        source: resolve(context.cwd, args.source),
        snapshot: args.snapshot,
        ...(await readStorage(context, args)),
        allowInsecure: args.insecureHttp === true,
        skipDamaged: args.skipDamaged === true,
        signal: context.signal,
        progress,
      });
    }
    const { snapshot, objects, bytes, lost } = restored;
    context.report({ ...restored, lost: lost.map(toHex) }, () => {
      const what = `restored ${snapshot}: ${objects} objects, ${byteText(bytes)}`;
      return lost.length > 0 ? `${what}; ${lost.length} objects are damaged: pogo verify` : what;
    });
  },
});
