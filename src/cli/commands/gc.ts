import {
  type CollectGarbageResponse,
  StorageServiceService as Storage,
} from "#gen/pogo/v1/storage.ts";
import { command } from "../command.ts";
import { byteText } from "../progress.ts";
import { connectToServer } from "../server-choice.ts";

export const gc = command({
  meta: {
    description: "delete from a server what nothing can go back to any more; it does so daily",
    examples: ["pogo gc --dry-run", "pogo gc https://pogo.example"],
  },
  args: {
    server: { type: "positional", required: false, valueHint: "SERVER", description: "its URL" },
    dryRun: { type: "boolean", description: "only say what there is to delete" },
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { signal } = context;
    const dryRun = args.dryRun === true;
    let last: CollectGarbageResponse | undefined;
    {
      using line = context.progress("collecting");
      const request = { dryRun };
      for await (const now of connection.channel.serverStream(Storage.collectGarbage, request, {
        signal,
      })) {
        const walked = now.walked + now.freedObjects;
        line.add({ files: walked - (last ? last.walked + last.freedObjects : 0) });
        last = now;
      }
    }
    const result = last!;
    context.report({ dryRun, ...result }, () => {
      const unnamed = `${result.unnamedObjects} objects, ${byteText(result.unnamedBytes)}`;
      if (dryRun) return `not needed: ${unnamed}`;
      const freed = `freed ${result.freedObjects} objects, ${byteText(result.freedBytes)}`;
      return result.unnamedObjects > 0 ? `${freed}; to go later: ${unnamed}` : freed;
    });
  },
});
