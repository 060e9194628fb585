/** The paths that versions touch: the index for file history. */
import type { ConflictEntry, FileEntry, SymlinkEntry } from "#core/tree.ts";
import { hashArray, numberArray, textArray, type Queries } from "./connect.ts";

export type FileChange = {
  path: string;
  status: "added" | "modified" | "deleted";
  /** What is there now; of a deleted path, what was there. */
  entry: FileEntry | SymlinkEntry | ConflictEntry;
};

const rowsPerStatement = 5000;

/** Notes what a version touches against its base. */
export async function insertFiles(
  tx: Queries,
  repositoryId: number,
  versionId: number,
  changes: AsyncIterable<FileChange> | Iterable<FileChange>,
): Promise<void> {
  let batch: FileChange[] = [];
  for await (const change of changes) {
    batch.push(change);
    if (batch.length < rowsPerStatement) continue;
    await insertBatch(tx, repositoryId, versionId, batch);
    batch = [];
  }
  if (batch.length > 0) await insertBatch(tx, repositoryId, versionId, batch);
}

async function insertBatch(
  tx: Queries,
  repositoryId: number,
  versionId: number,
  changes: readonly FileChange[],
): Promise<void> {
  const entries = changes.map((change) => change.entry);
  // What is no file has no object: an empty one stands for it until it is in the database.
  const objects = entries.map((entry) => (entry.kind === "file" ? entry.hash : noObject));
  const modes = entries.map((entry) => {
    if (entry.kind !== "file") return undefined;
    return entry.executable ? 755 : 644;
  });
  await tx`
    insert into files (repository_id, version_id, path, status, kind, mode, size, object)
    select ${repositoryId}::bigint, ${versionId}::bigint, path, status, kind, mode, size,
      nullif(object, ''::bytea)
    from unnest(
      ${textArray(changes.map((change) => change.path))}::text[],
      ${textArray(changes.map((change) => change.status))}::text[],
      ${textArray(entries.map((entry) => entry.kind))}::text[],
      ${numberArray(modes)}::smallint[],
      ${numberArray(entries.map(sizeOf))}::bigint[],
      ${hashArray(objects)}::bytea[]) file (path, status, kind, mode, size, object)`;
}

const noObject = new Uint8Array(0);

function sizeOf(entry: FileChange["entry"]): number {
  if (entry.kind === "file") return entry.size;
  if (entry.kind === "symlink") return Buffer.byteLength(entry.target);
  return entry.sides.reduce((sum, side) => sum + (side?.kind === "file" ? side.size : 0), 0);
}
