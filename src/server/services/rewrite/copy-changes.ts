/** New changes made of the edits of others. */
import { PogoError } from "#core/errors.ts";
import { equalHashes } from "#core/hash.ts";
import { pageMax } from "#core/limits.ts";
import { changeName } from "#core/name.ts";
import type {
  DuplicateChangesRequest,
  DuplicateChangesResponse,
  RevertChangeRequest,
  RevertChangeResponse,
} from "#gen/pogo/v1/history.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import type { Sql } from "../../db/connect.ts";
import type { CurrentRow } from "../../db/descendants.ts";
import type { ParentRow } from "../../db/changes.ts";
import type { Parts } from "../calls.ts";
import { resolveParent } from "./rebase.ts";
import { checkRequestId } from "../requests.ts";
import { resolveChange } from "../revision.ts";
import { tellRewriting, tellVersions } from "./rewrite-answer.ts";
import { editsOf, type Planner } from "./rewrite-plan.ts";
import type { Snapshots } from "./rewrite-snapshots.ts";
import { rewriteHistory } from "./rewrite.ts";

const subjectLengthMax = 200;

/** Makes a name that no other change has, as far as 64 random bits go. */
export function newChangeName(): string {
  return changeName(crypto.getRandomValues(new Uint8Array(8)));
}

/** Makes a change that does the inverse of another one. */
export async function revertChange(
  parts: Parts,
  request: RevertChangeRequest,
  caller: Caller | undefined,
): Promise<RevertChangeResponse> {
  const { sql } = parts;
  const { revision, destination } = request;
  const requestId = checkRequestId(request.requestId);
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const asked = { revision, destination };
  const rewritten = { repository, caller: user, requestId, kind: "revert", asked } as const;
  const effects = await rewriteHistory(parts, rewritten, async (planner, snapshots) => {
    const { changeId } = await resolveChange(sql, repositoryId, revision);
    const parent = await resolveParent(sql, repositoryId, destination);
    await planRevert(planner, snapshots, await planner.read(changeId), parent);
  });
  const [change] = await tellVersions(sql, repositoryId, effects.changes, user);
  return { change };
}

async function planRevert(
  planner: Planner,
  snapshots: Snapshots,
  { name, description, tree, parents }: CurrentRow,
  parent: ParentRow,
): Promise<void> {
  const patch = { from: tree, to: parents };
  const onto = await snapshots.rootOf([parent]);
  if (equalHashes(await snapshots.apply(patch, onto), onto)) {
    throw new PogoError("usage", `there is nothing of change ${name} to revert`, {
      hint: `see what it touches: pogo show ${name.slice(0, 8)}`,
    });
  }
  const [subject = ""] = description.split("\n");
  planner.create(newChangeName(), {
    parents: [parent],
    patches: [patch],
    description: `revert "${subject.slice(0, subjectLengthMax).toWellFormed() || name}"`,
  });
}

/** Makes copies of changes, standing on each other as these do. */
export async function duplicateChanges(
  parts: Parts,
  request: DuplicateChangesRequest,
  caller: Caller | undefined,
): Promise<DuplicateChangesResponse> {
  const { sql } = parts;
  const { revisions, destination } = request;
  const requestId = checkRequestId(request.requestId);
  if (revisions.length === 0 || revisions.length > pageMax) {
    throw new PogoError("usage", `${revisions.length} changes to copy: 1 to ${pageMax} may be`);
  }
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const asked = { revisions, destination };
  const rewritten = { repository, caller: user, requestId, kind: "duplicate", asked } as const;
  const effects = await rewriteHistory(parts, rewritten, async (planner) => {
    const parent =
      destination === "" ? undefined : await resolveParent(sql, repositoryId, destination);
    planCopies(planner, await resolveSources(sql, repositoryId, planner, revisions), parent);
  });
  return { rewriting: await tellRewriting(sql, repositoryId, effects, user) };
}

async function resolveSources(
  sql: Sql,
  repositoryId: number,
  planner: Planner,
  revisions: readonly string[],
): Promise<CurrentRow[]> {
  const sources: CurrentRow[] = [];
  for (const revision of revisions) {
    const { changeId, name } = await resolveChange(sql, repositoryId, revision);
    if (sources.some((source) => source.changeId === changeId)) {
      throw new PogoError("usage", `change ${name} is named twice`);
    }
    sources.push(await planner.read(changeId));
  }
  // Parents first: their versions are older.
  return sources.sort((a, b) => a.generation - b.generation);
}

function planCopies(
  planner: Planner,
  sources: readonly CurrentRow[],
  destination: ParentRow | undefined,
): void {
  const copies = new Map<number, ParentRow>();
  for (const source of sources) {
    const { description, parents: before } = source;
    let parents: readonly ParentRow[] = before.map((row) => copies.get(row.changeId) ?? row);
    const isRoot = !before.some(({ changeId }) => copies.has(changeId));
    if (isRoot && destination) parents = [destination];
    const wanted = { parents, patches: [editsOf(source)], description };
    copies.set(source.changeId, planner.create(newChangeName(), wanted));
  }
}
