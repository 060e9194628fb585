import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import { command } from "../../command.ts";
import { byteText } from "../../progress.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";
import { readSize } from "../../sizes.ts";

export const adminQuota = command({
  meta: {
    description: "say how large the contents of a repository may become, uncompressed",
    examples: ["pogo admin quota game 500G", "pogo admin quota game none"],
  },
  args: {
    repository: { type: "positional", required: true, description: "the repository" },
    size: { type: "positional", required: true, valueHint: "SIZE|none", description: "500M, 4G" },
    ...serverArgs,
  },
  async run({ args, context }) {
    const { repository, size } = args;
    const quotaBytes = size === "none" ? undefined : readSize(size);
    using connection = await connectToServer(context, args.server);
    const { uniqueBytes } = await connection.channel.unary(
      Storage.setQuota,
      { repository, quotaBytes },
      { signal: context.signal },
    );
    context.report({ repository, quotaBytes: quotaBytes ?? null, uniqueBytes }, ({ green }) => {
      const most = quotaBytes === undefined ? "as much as it likes" : byteText(quotaBytes);
      return `${green(repository)} may hold ${most}; it holds ${byteText(uniqueBytes)}`;
    });
  },
});
