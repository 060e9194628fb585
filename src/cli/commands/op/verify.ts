import { verifyOperations } from "#client/operations.ts";
import { toHex } from "#core/hash.ts";
import { count } from "../../change-view.ts";
import { command } from "../../command.ts";
import { openSession } from "../../session.ts";

export const opVerify = command({
  meta: {
    description: "compute all hashes of the log again: nobody altered an operation, or which one",
  },
  async run({ context }) {
    await using session = await openSession(context);
    const { workspace, remote } = session;
    const { number, hash } = await verifyOperations(remote, workspace.state);
    context.print({ operations: number, hash: toHex(hash) }, () => {
      return `${count(number, "operation")}, all as they were written`;
    });
  },
});
