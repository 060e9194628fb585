import { listOperations } from "#client/operations.ts";
import { command } from "../../command.ts";
import { operationJson, operationLine } from "../../operation-view.ts";
import { positiveInteger } from "../../options.ts";
import { openSession } from "../../session.ts";

const limitDefault = 20;

export const opLog = command({
  meta: {
    description: "list what was done to the repository, newest first",
    examples: ["pogo op log", "pogo op log -n 100"],
  },
  args: {
    limit: { type: "string", alias: "n", valueHint: "N", description: "at most N of them (20)" },
  },
  async run({ args, context }) {
    await using session = await openSession(context);
    const limit = positiveInteger(args.limit, "--limit") ?? limitDefault;
    const operations = await Array.fromAsync(listOperations(session.remote, { from: 0, limit }));
    context.print(operations.map(operationJson), (style) => {
      const width = String(operations[0]?.number ?? 0).length;
      return operations.map((operation) => operationLine(operation, width, style)).join("\n");
    });
    if (args.limit === undefined && (operations.at(-1)?.number ?? 1) > 1) {
      context.note(`\nolder operations are left out: -n ${limit * 5} shows more`);
    }
  },
});
