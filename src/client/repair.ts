/**
 * Sends again what a repository has lost of the files that the working copy has in common with it:
 * contents that were found damaged in the server's store, or that are gone from there.
 */
import { hashKey } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import { statWords } from "#native/directory.ts";
import type { Remote } from "./remote.ts";
import { baseFiles } from "./state-directories.ts";
import { uploadFiles, type UploadFile, type UploadObserver, type UploadResult } from "./upload.ts";
import type { Scan } from "./working-copy/scan.ts";
import type { Workspace } from "./workspace.ts";

/** Sends what is missing. Files that differ from the base are left to the push that follows. */
export async function repairContents(
  { workspace, remote }: { workspace: Workspace; remote: Remote },
  { differences }: Scan,
  observe: (files: UploadFile[]) => UploadObserver,
): Promise<UploadResult> {
  const differing = new Set(differences.map(({ path }) => path));
  const files = [...baseFiles(workspace.state)].filter(({ path }) => !differing.has(path));
  // One of each content.
  const standing = [...new Map(files.map((file) => [hashKey(file.entry.hash), file])).values()];
  const missing = await remote.findMissing(
    standing.map(({ entry }) => entry.hash),
    [],
  );
  const lost = new Set(missing.objects.map((index) => standing[index]));
  const obliterated = new Set(missing.obliterated.map((index) => standing[index]));
  const lostFiles = standing
    // The list of a large file's chunks may be whole, and a chunk lost: each is asked for.
    .filter((file) => lost.has(file) || file.entry.size > objectBytesMax)
    .filter((file) => !obliterated.has(file))
    .map(({ path, entry: { size, executable } }): UploadFile => {
      const file = { size, executable, hash: undefined, stat: new Uint32Array(statWords) };
      return { path, file };
    });
  return await uploadFiles({ remote, root: workspace.root }, lostFiles, observe(lostFiles));
}
