/**
 * Holds the rules for bookmarks against all that a mutation did: a mutation that breaks one is
 * refused at its end, and the transaction with it. What a bookmark stands on is protected as far
 * as the bookmark is: rewriting it would be another way of moving the bookmark.
 */
import { PogoError } from "#core/errors.ts";
import type { BookmarkEffect, ChangeEffect, Effects } from "#core/operation.ts";
import { includesRole, type Role } from "#core/role.ts";
import { listRules, ruleFor, type RuleRow } from "./bookmark-rules.ts";
import { findChange, readNamedVersion, readVersion } from "./changes.ts";
import { numberArray, textArray, type Queries } from "./connect.ts";

/** Where and by whom something was done. */
type Scene = { tx: Queries; repositoryId: number; role: Role | undefined; effects: Effects };

type Protected = { name: string; changeName: string; versionId: number; rule: RuleRow };

const rulesHint = "see what holds: pogo bookmark rules";

/** Refuses what a rule forbids. */
export async function checkProtection(scene: Scene): Promise<void> {
  const { tx, repositoryId, effects } = scene;
  const moved = effects.bookmarks.filter(({ before, after }) => before !== after);
  const rewritten = effects.changes.filter(isRewritten);
  if (moved.length === 0 && rewritten.length === 0) return;
  const rules = await listRules(tx, repositoryId);
  if (rules.length === 0) return;
  for (const effect of moved) {
    const rule = ruleFor(rules, effect.bookmark);
    if (rule) await checkMove(scene, effect, rule);
  }
  if (rewritten.length === 0) return;
  const bookmarks = await readProtected(scene, rules);
  const movedNames = new Set(moved.map(({ bookmark }) => bookmark));
  const unmoved = bookmarks.filter(({ name }) => !movedNames.has(name));
  const kept = bookmarks.filter(({ rule }) => rule.forwardOnly || rule.immutable);
  const names = new Set(rewritten.map(({ change }) => change));
  const on = unmoved.filter(({ changeName }) => names.has(changeName));
  for (const bookmark of on) await checkRewritten(scene, bookmark);
  if (kept.length > 0) await checkBelow(scene, rewritten, kept);
}

function isRewritten({ before, after }: ChangeEffect): boolean {
  if (before === null || before.hidden) return false;
  return after.hidden || after.version !== before.version;
}

async function checkMove(scene: Scene, effect: BookmarkEffect, rule: RuleRow): Promise<void> {
  const { bookmark, before, after } = effect;
  checkRole(scene, bookmark, rule);
  if (before !== null && rule.immutable) {
    throw refused(bookmark, after === null ? "it is never deleted" : "it is never moved");
  }
  if (after === null) {
    if (rule.neverDeleted) throw refused(bookmark, "it is never deleted");
    return;
  }
  if (rule.described) await checkDescribed(scene, bookmark, after);
  if (before === null || !rule.forwardOnly) return;
  const from = await versionBefore(scene, before);
  const to = await currentVersion(scene, after);
  if ((await findBelow(scene, [from], [to])) !== undefined) return;
  const change = `change ${before.slice(0, 8)}`;
  throw refused(bookmark, `it only moves forward, to what stands on ${change}`, {
    hint: `bring the two together: pogo sync ${bookmark}`,
  });
}

/** A bookmark stays at a change that has another version now. */
async function checkRewritten(scene: Scene, { name, changeName, rule }: Protected): Promise<void> {
  checkRole(scene, name, rule);
  if (rule.forwardOnly || rule.immutable) {
    throw refused(name, `change ${changeName.slice(0, 8)}, where it is, is not rewritten`);
  }
  if (rule.described) await checkDescribed(scene, name, changeName);
}

/** Changes that bookmarks may stand on have other versions now, or are hidden. */
async function checkBelow(
  scene: Scene,
  rewritten: readonly ChangeEffect[],
  bookmarks: readonly Protected[],
): Promise<void> {
  const replaced = await readReplaced(scene, rewritten);
  const ids = [...replaced.keys()];
  if (ids.length === 0) return;
  const all = bookmarks.map(({ versionId }) => versionId);
  const found = await findBelow(scene, ids, all);
  if (found === undefined) return;
  for (const { name, versionId } of bookmarks) {
    if ((await findBelow(scene, [found], [versionId])) === undefined) continue;
    const change = `change ${replaced.get(found)!.slice(0, 8)}`;
    throw refused(name, `${change}, which it stands on, is not rewritten`);
  }
}

function checkRole({ role }: Scene, bookmark: string, rule: RuleRow): void {
  if (includesRole(role, rule.role)) return;
  const message = `bookmark ${bookmark} is protected: moving it needs the role ${rule.role}`;
  throw new PogoError("denied", message, { hint: rulesHint });
}

async function checkDescribed(
  { tx, repositoryId }: Scene,
  bookmark: string,
  changeName: string,
): Promise<void> {
  const versionId = await currentVersion({ tx, repositoryId }, changeName);
  const { description } = await readVersion(tx, repositoryId, versionId);
  if (description.trim() !== "") return;
  throw refused(bookmark, `change ${changeName.slice(0, 8)} has no description`, {
    hint: `pogo describe ${changeName.slice(0, 8)}`,
  });
}

function refused(bookmark: string, why: string, options = { hint: rulesHint }): PogoError {
  return new PogoError("denied", `bookmark ${bookmark} is protected: ${why}`, options);
}

/** The bookmarks that rules hold for, where they are now. */
async function readProtected(
  { tx, repositoryId }: Scene,
  rules: readonly RuleRow[],
): Promise<Protected[]> {
  const patterns = rules.map(({ pattern }) =>
    pattern.replace(/[\\%_]/g, "\\$&").replaceAll("*", "%"),
  );
  const rows = await tx<Omit<Protected, "rule">[]>`
    select b.name, c.name as change_name, c.version_id
    from bookmarks b
    join changes c on c.repository_id = b.repository_id and c.change_id = b.change_id
    where b.repository_id = ${repositoryId}
      and b.name like any(${textArray(patterns)}::text[])
    order by b.name`;
  return rows.map((row) => ({ ...row, rule: ruleFor(rules, row.name)! }));
}

/** Where a change was before the mutation. */
async function versionBefore({ tx, repositoryId, effects }: Scene, name: string): Promise<number> {
  const before = effects.changes.find(({ change }) => change === name)?.before;
  if (!before) return await currentVersion({ tx, repositoryId }, name);
  return (await readNamedVersion(tx, repositoryId, name, before.version)).versionId;
}

async function currentVersion(
  { tx, repositoryId }: Pick<Scene, "tx" | "repositoryId">,
  name: string,
): Promise<number> {
  const change = await findChange(tx, repositoryId, name);
  if (!change) throw new Error(`change ${name} is gone`);
  return change.versionId;
}

/** Versions that changes are at no more and that something stands on, with their names. */
async function readReplaced(
  { tx, repositoryId }: Scene,
  rewritten: readonly ChangeEffect[],
): Promise<Map<number, string>> {
  const names = textArray(rewritten.map(({ change }) => change));
  const numbers = numberArray(rewritten.map(({ before }) => before?.version));
  const rows = await tx<{ versionId: number; name: string }[]>`
    select v.version_id, wanted.name
    from unnest(${names}::text[], ${numbers}::bigint[]) wanted (name, number)
    cross join lateral (select change_id from changes
      where repository_id = ${repositoryId} and name = wanted.name limit 1) c
    cross join lateral (select version_id from versions
      where repository_id = ${repositoryId} and change_id = c.change_id
        and number = wanted.number limit 1) v
    where exists (select 1 from version_parents
      where repository_id = ${repositoryId} and parent_change_id = c.change_id
        and parent_version_id = v.version_id)`;
  return new Map(rows.map(({ versionId, name }) => [versionId, name]));
}

/**
 * Finds one of the versions among the others and what those stand on. Versions have larger ids
 * than all that they stand on, so nothing older is looked at.
 */
async function findBelow(
  { tx, repositoryId }: Scene,
  versionIds: readonly number[],
  others: readonly number[],
): Promise<number | undefined> {
  const oldest = Math.min(...versionIds);
  const [row] = await tx<{ versionId: number }[]>`
    with recursive walk (version_id) as (
      select id from unnest(${numberArray(others)}::bigint[]) start (id) where id >= ${oldest}
      union
      select p.parent_version_id
      from walk
      cross join lateral (select parent_version_id from version_parents
        where repository_id = ${repositoryId} and version_id = walk.version_id offset 0) p
      where p.parent_version_id >= ${oldest}
    )
    select version_id from walk
    where version_id = any(${numberArray(versionIds)}::bigint[]) limit 1`;
  return row?.versionId;
}
