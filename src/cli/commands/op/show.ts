import { findOperation } from "#client/operations.ts";
import { command } from "../../command.ts";
import { formatOperation, operationJson } from "../../operation-view.ts";
import { positiveInteger } from "../../options.ts";
import { openSession } from "../../session.ts";

export const opShow = command({
  meta: {
    description: "show all that an operation moved, and from where to where",
    examples: ["pogo op show 17"],
  },
  args: {
    operation: { type: "positional", required: true, valueHint: "N", description: "which" },
  },
  async run({ args, context }) {
    const number = positiveInteger(args.operation, "op show")!;
    await using session = await openSession(context);
    const operation = await findOperation(session.remote, number);
    context.print(operationJson(operation), (style) => formatOperation(operation, style));
  },
});
