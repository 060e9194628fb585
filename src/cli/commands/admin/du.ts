import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import { command } from "../../command.ts";
import { byteText } from "../../progress.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const adminDu = command({
  meta: {
    description:
      "say what each repository takes up: all versions of its files, each content once, and stored",
    examples: ["pogo admin du", "pogo admin du --json"],
  },
  args: serverArgs,
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { signal } = context;
    const { repositories, objects, storedBytes } = await connection.channel.unary(
      Storage.measureUsage,
      {},
      { signal },
    );
    const values = repositories.map((row) => ({ ...row, quotaBytes: row.quotaBytes ?? null }));
    context.print({ repositories: values, total: { objects, storedBytes } }, ({ green, dim }) => {
      const lines = values.map((row) => [
        row.repository,
        String(row.objects),
        byteText(row.rawBytes),
        byteText(row.uniqueBytes),
        byteText(row.storedBytes),
        row.quotaBytes === null ? "none" : byteText(row.quotaBytes),
      ]);
      const total = ["in the store", String(objects), "", "", byteText(storedBytes), ""];
      const head = ["repository", "objects", "raw", "unique", "stored", "quota"];
      const all = [head, ...lines, total];
      const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
      return all
        .map((row, index) => {
          const style = index > 0 && index < all.length - 1 ? green : dim;
          const [name, ...numbers] = row.map((cell, column) => {
            return column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!);
          });
          return `${style(name!)}  ${numbers.join("  ")}`.trimEnd();
        })
        .join("\n");
    });
  },
});
