/** The paths that versions touch: the index for file history. */
import type { FileEntry, SymlinkEntry } from "#core/tree.ts";
import { hashArray, numberArray, textArray, type Queries } from "./connect.ts";

export type FileChange = {
  path: string;
  status: "added" | "modified" | "deleted";
  /** What is there now; of a deleted path, what was there. */
  entry: FileEntry | SymlinkEntry;
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
  // A symlink has no object: an empty one stands for it until it is in the database.
  const objects = entries.map((entry) => (entry.kind === "file" ? entry.hash : noObject));
  const modes = entries.map((entry) => {
    if (entry.kind === "symlink") return undefined;
    return entry.executable ? 755 : 644;
  });
  const sizes = entries.map((entry) =>
    entry.kind === "file" ? entry.size : Buffer.byteLength(entry.target),
  );
  await tx`
    insert into files (repository_id, version_id, path, status, kind, mode, size, object)
    select ${repositoryId}::bigint, ${versionId}::bigint, path, status,
      case when mode is null then 'symlink' else 'file' end, mode, size,
      nullif(object, ''::bytea)
    from unnest(
      ${textArray(changes.map((change) => change.path))}::text[],
      ${textArray(changes.map((change) => change.status))}::text[],
      ${numberArray(modes)}::smallint[],
      ${numberArray(sizes)}::bigint[],
      ${hashArray(objects)}::bytea[]) file (path, status, mode, size, object)`;
}

const noObject = new Uint8Array(0);
