/** What is said of a rewriting: the same however often it is asked for. */
import { operationAnswerBytes, pageMax } from "#core/limits.ts";
import type { ChangeEffect, Effects } from "#core/operation.ts";
import { Change } from "#gen/pogo/v1/common.ts";
import type { Rewriting } from "#gen/pogo/v1/history.ts";
import type { Caller } from "../../auth.ts";
import type { Sql } from "../../db/connect.ts";
import { findNamedVersions } from "../../db/descendants.ts";
import { readChangeMessages } from "../change-message.ts";

/** Tells of all that an operation moved, as the caller sees it. */
export async function tellRewriting(
  sql: Sql,
  repositoryId: number,
  { changes, bookmarks }: Effects,
  caller: Caller,
): Promise<Rewriting> {
  const written = changes.filter(({ after }) => !after.hidden);
  const hidden = changes.filter(({ after }) => after.hidden);
  const versions = await findNamedVersions(sql, repositoryId, written.map(versionOf));
  const listed = versions.slice(0, pageMax).map(({ versionId }) => versionId);
  return {
    changes: fitting(await readChangeMessages(sql, repositoryId, listed, caller)),
    count: written.length,
    conflicted: versions.filter(({ isConflicted }) => isConflicted).length,
    hidden: await tellVersions(sql, repositoryId, hidden, caller),
    bookmarks: bookmarks.map(({ bookmark }) => bookmark).slice(0, pageMax),
  };
}

/** Tells of the versions at which an operation left changes; of very many, of the first. */
export async function tellVersions(
  sql: Sql,
  repositoryId: number,
  effects: readonly ChangeEffect[],
  caller: Caller,
): Promise<Change[]> {
  const wanted = effects.slice(0, pageMax).map(versionOf);
  const versions = await findNamedVersions(sql, repositoryId, wanted);
  const ids = versions.map(({ versionId }) => versionId);
  return fitting(await readChangeMessages(sql, repositoryId, ids, caller));
}

function versionOf({ change, after }: ChangeEffect) {
  return { change, version: after.version };
}

function fitting(changes: Change[]): Change[] {
  let bytes = 0;
  return changes.filter(
    (change) => (bytes += Change.encode(change).finish().length) < operationAnswerBytes,
  );
}
