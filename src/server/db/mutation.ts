/**
 * The only way to move changes and bookmarks: what it does to them it writes down, so that the
 * operation which did it can be shown, undone, and never forget anything.
 */
import type { BookmarkEffect, ChangeEffect, ChangeState } from "#core/operation.ts";
import type { Role } from "#core/role.ts";
import type { VersionRow } from "./changes.ts";
import { numberArray, type Queries } from "./connect.ts";
import { keepVersion } from "./revive.ts";
import { appendOperation, type OperationDetails, type OperationKind } from "./operations.ts";
import { checkProtection } from "./protection.ts";

export type Mutation = {
  /** Makes a version the one that its change is at; the change is visible then. */
  moveChange(version: VersionRow): Promise<void>;
  /** The same for very many changes at once. */
  moveChanges(versions: readonly VersionRow[]): Promise<void>;
  hideChange(changeId: number): Promise<void>;
  hideChanges(changeIds: readonly number[]): Promise<void>;
  showChanges(changeIds: readonly number[]): Promise<void>;
  /** Creates a bookmark; says no when there is one of that name. */
  insertBookmark(name: string, changeId: number): Promise<boolean>;
  moveBookmark(name: string, changeId: number): Promise<void>;
  deleteBookmark(name: string): Promise<void>;
  /** Appends the operation that all of it was. Nothing comes after; says its number. */
  record(operation: RecordedOperation): Promise<number>;
};

export type RecordedOperation = {
  requestId: Uint8Array;
  /** The role is what rules for bookmarks are held against: none may move what is protected. */
  caller: { userId: number; userName: string; role?: Role };
  kind: OperationKind;
  details: OperationDetails;
};

type MovedChange = {
  name: string;
  numberBefore: number | null;
  wasHidden: boolean;
  /** Of the version that the change is at now. */
  isExpired?: boolean;
  versionId?: number;
};

/** Begins a mutation of a repository. Whoever moves a change or a bookmark has locked it. */
export function openMutation(tx: Queries, repositoryId: number): Mutation {
  const changes = new Map<string, ChangeEffect>();
  const bookmarks = new Map<string, BookmarkEffect>();

  function noteChange(moved: MovedChange | undefined, after: Partial<ChangeState>): void {
    if (!moved) throw new Error("a change that is moved is gone");
    const { name, numberBefore, wasHidden } = moved;
    const before = numberBefore === null ? null : { version: numberBefore, hidden: wasHidden };
    const now = { version: numberBefore ?? 0, hidden: wasHidden, ...after };
    const first = changes.get(name)?.before;
    changes.set(name, { change: name, before: first === undefined ? before : first, after: now });
  }

  function noteBookmark(bookmark: string, before: string | null, after: string | null): void {
    const first = bookmarks.get(bookmark)?.before;
    bookmarks.set(bookmark, { bookmark, before: first === undefined ? before : first, after });
  }

  async function setHidden(changeIds: readonly number[], hidden: boolean): Promise<void> {
    if (changeIds.length === 0) return;
    const moved = await tx<MovedChange[]>`
      update changes c set removed_at = ${hidden ? tx`now()` : null}
      from unnest(${numberArray(changeIds)}::bigint[]) wanted (change_id)
      cross join lateral (select * from changes
        where repository_id = ${repositoryId} and change_id = wanted.change_id limit 1) old
      cross join lateral (select * from versions
        where repository_id = ${repositoryId} and version_id = old.version_id limit 1) v
      where c.repository_id = ${repositoryId} and c.change_id = wanted.change_id
      returning c.name, v.number as number_before, old.removed_at is not null as was_hidden,
        v.version_id, v.expired_at is not null as is_expired`;
    if (moved.length !== changeIds.length) throw new Error("a change that is moved is gone");
    for (const change of moved) {
      if (!hidden && change.isExpired) await keepVersion(tx, repositoryId, change.versionId!);
      noteChange(change, { hidden });
    }
  }

  return {
    async moveChange({ changeId, versionId, number, generation }) {
      const [moved] = await tx<MovedChange[]>`
        update changes c
        set version_id = ${versionId}, generation = ${generation}, updated_at = now(),
          removed_at = null
        from changes old
        left join versions v
          on v.repository_id = old.repository_id and v.version_id = old.version_id
        where old.repository_id = ${repositoryId} and old.change_id = ${changeId}
          and c.repository_id = ${repositoryId} and c.change_id = ${changeId}
        returning c.name, v.number as number_before, old.removed_at is not null as was_hidden,
          (select expired_at is not null from versions
            where repository_id = ${repositoryId} and version_id = ${versionId}) as is_expired`;
      if (moved?.isExpired) await keepVersion(tx, repositoryId, versionId);
      noteChange(moved, { version: number, hidden: false });
    },
    async moveChanges(versions) {
      if (versions.length === 0) return;
      const numbers = new Map(versions.map(({ changeId, number }) => [changeId, number]));
      const column = (key: "changeId" | "versionId" | "generation") =>
        numberArray(versions.map((version) => version[key]));
      const moved = await tx<(MovedChange & { changeId: number })[]>`
        update changes c
        set version_id = wanted.version_id, generation = wanted.generation, updated_at = now(),
          removed_at = null
        from unnest(${column("changeId")}::bigint[], ${column("versionId")}::bigint[],
          ${column("generation")}::integer[]) wanted (change_id, version_id, generation)
        cross join lateral (select * from changes
          where repository_id = ${repositoryId} and change_id = wanted.change_id limit 1) old
        cross join lateral (select number from versions
          where repository_id = ${repositoryId} and version_id = old.version_id limit 1) v
        where c.repository_id = ${repositoryId} and c.change_id = wanted.change_id
        returning c.change_id, c.name, v.number as number_before,
          old.removed_at is not null as was_hidden, wanted.version_id,
          (select expired_at is not null from versions
            where repository_id = ${repositoryId}
              and version_id = wanted.version_id) as is_expired`;
      if (moved.length !== versions.length) throw new Error("a change that is moved is gone");
      for (const change of moved) {
        if (change.isExpired) await keepVersion(tx, repositoryId, change.versionId!);
        noteChange(change, { version: numbers.get(change.changeId)!, hidden: false });
      }
    },
    hideChange: (changeId) => setHidden([changeId], true),
    hideChanges: (changeIds) => setHidden(changeIds, true),
    showChanges: (changeIds) => setHidden(changeIds, false),
    async insertBookmark(name, changeId) {
      const [row] = await tx<{ changeName: string }[]>`
        insert into bookmarks (repository_id, name, change_id)
        values (${repositoryId}, ${name}, ${changeId})
        on conflict do nothing
        returning (select name from changes
          where repository_id = ${repositoryId} and change_id = ${changeId}) as change_name`;
      if (!row) return false;
      noteBookmark(name, null, row.changeName);
      return true;
    },
    async moveBookmark(name, changeId) {
      const [row] = await tx<{ nameBefore: string; nameAfter: string }[]>`
        update bookmarks b set change_id = ${changeId}, updated_at = now()
        from bookmarks old
        join changes was
          on was.repository_id = old.repository_id and was.change_id = old.change_id
        where old.repository_id = ${repositoryId} and old.name = ${name}
          and b.repository_id = ${repositoryId} and b.name = ${name}
        returning was.name as name_before, (select name from changes
          where repository_id = ${repositoryId} and change_id = ${changeId}) as name_after`;
      if (!row) throw new Error(`bookmark ${name} is gone`);
      noteBookmark(name, row.nameBefore, row.nameAfter);
    },
    async deleteBookmark(name) {
      const [row] = await tx<{ nameBefore: string }[]>`
        delete from bookmarks b using changes was
        where b.repository_id = ${repositoryId} and b.name = ${name}
          and was.repository_id = b.repository_id and was.change_id = b.change_id
        returning was.name as name_before`;
      if (!row) throw new Error(`bookmark ${name} is gone`);
      noteBookmark(name, row.nameBefore, null);
    },
    async record({ requestId, caller: { userId, userName, role }, kind, details }) {
      const effects = { changes: [...changes.values()], bookmarks: [...bookmarks.values()] };
      const operation = { requestId, userId, userName, kind, details, effects };
      // The rules are read once the log is locked, when whoever changes them has to wait.
      const [number] = await Promise.all([
        appendOperation(tx, repositoryId, operation),
        checkProtection({ tx, repositoryId, role, effects }),
      ]);
      return number;
    },
  };
}
