import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import { command } from "../../command.ts";
import { byteText } from "../../progress.ts";
import { connectToServer } from "../../server-choice.ts";

export const adminRebalance = command({
  meta: { description: "move objects to the volumes that are theirs, after one was added" },
  args: {
    server: { type: "positional", required: false, valueHint: "SERVER", description: "its URL" },
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    let last = { checked: 0, moved: 0, movedBytes: 0 };
    {
      using line = context.progress("rebalancing");
      const { signal } = context;
      for await (const now of connection.channel.serverStream(Storage.rebalance, {}, { signal })) {
        line.add({ files: now.checked - last.checked, bytes: now.movedBytes - last.movedBytes });
        last = now;
      }
    }
    context.report(last, () => {
      return `moved ${last.moved} of ${last.checked} objects, ${byteText(last.movedBytes)}`;
    });
  },
});
