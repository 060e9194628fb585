import type {
  ChangeServiceServer,
  DescribeChangeRequest,
  DescribeChangeResponse,
  RemoveChangeRequest,
} from "#gen/pogo/v1/change.ts";
import { requireWrite, type Caller } from "../auth.ts";
import {
  readNamedVersion,
  insertVersion,
  lockChanges,
  readParents,
  readVersion,
  type ChangeRow,
} from "../db/changes.ts";
import { transaction, type Queries } from "../db/connect.ts";
import { openMutation } from "../db/mutation.ts";
import type { OperationDetails } from "../db/operations.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { readChangeMessage } from "./change-message.ts";
import { removeChange } from "./rewrite/remove-change.ts";
import { checkDescription, checkRequestId, recallOperation } from "./requests.ts";
import { resolveChange } from "./revision.ts";

/** Makes the service. */
export function changeService(parts: Parts, { unary }: CallHandlers): ChangeServiceServer {
  return {
    describeChange: unary((request: DescribeChangeRequest, caller) =>
      describeChange(parts, request, caller),
    ),
    removeChange: unary((request: RemoveChangeRequest, caller) =>
      removeChange(parts, request, caller),
    ),
  };
}

/** Gives a change a description, as a new version. */
export async function describeChange(
  { sql }: Parts,
  request: DescribeChangeRequest,
  caller: Caller | undefined,
): Promise<DescribeChangeResponse> {
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const { requestId, description } = request;
  checkRequestId(requestId);
  checkDescription(description);
  const kind = "describe";
  const versionOf = async (sql: Queries, { change, version }: OperationDetails) => {
    return await readNamedVersion(sql, repositoryId, String(change), Number(version));
  };
  const versionId = await transaction(sql, async (tx) => {
    const recalled = await recallOperation(
      tx,
      { repositoryId, requestId, caller: user, kind },
      async ({ details }) => (await versionOf(tx, details)).description === description,
    );
    if (recalled) return (await versionOf(tx, recalled.details)).versionId;
    const change = await lockResolved(tx, repositoryId, request.revision);
    const current = await readVersion(tx, repositoryId, change.versionId);
    if (current.description === description) return current.versionId;
    const version = await insertVersion(tx, repositoryId, {
      changeId: change.changeId,
      tree: current.tree,
      description,
      authorId: user.userId,
      parents: await readParents(tx, repositoryId, current.versionId),
      baseVersionId: current.versionId,
    });
    const mutation = openMutation(tx, repositoryId);
    await mutation.moveChange(version);
    const details = { change: change.name, version: version.number };
    await mutation.record({ requestId, caller: user, kind, details });
    return version.versionId;
  });
  return { change: await readChangeMessage(sql, repositoryId, versionId, user) };
}

async function lockResolved(
  tx: Queries,
  repositoryId: number,
  revision: string,
): Promise<ChangeRow> {
  const { changeId } = await resolveChange(tx, repositoryId, revision);
  await lockChanges(tx, repositoryId, [changeId], "update");
  // What it was before the lock may be old.
  return await resolveChange(tx, repositoryId, revision);
}
