/**
 * Patches in git's extended unified format, which `git apply` and `patch -p1` read. A patch is
 * bytes: its lines are the files' own, whatever their encoding.
 */
import { diffLines, type Edit } from "./diff.ts";
import { textLinesMax } from "./limits.ts";
import { binaryPatch, gitHash } from "./patch-binary.ts";
import { formatHunks } from "./patch-hunk.ts";
import { similarity } from "./rename-similarity.ts";
import { hasMoreLines, isText, splitLines, type Lines } from "./text.ts";
import type { Entry } from "./tree.ts";

export type PatchMode = "100644" | "100755" | "120000";

/** One side of a compared file; without bytes it is too large to be shown. */
export type PatchFile = { path: string; mode: PatchMode; bytes?: Uint8Array | undefined };

/** A file before and after: only `after` when it is new, only `before` when it is gone. */
export type PatchPair = { old?: PatchFile | undefined; new?: PatchFile | undefined };

export type PatchOptions = {
  /** Unchanged lines around each hunk. */
  context?: number;
  /** Carries binary contents, too, so that `git apply` can apply them. */
  binary?: boolean;
};

/** Lines that a file's patch adds and removes; binary files have none. */
export type PatchCount = { added: number; removed: number; isBinary: boolean };

const encoder = new TextEncoder();
const empty = new Uint8Array(0);

/** Mode under which git knows an entry that can stand in a patch. */
export function patchMode(entry: Entry): PatchMode {
  if (entry.kind === "symlink") return "120000";
  return entry.kind === "file" && entry.executable ? "100755" : "100644";
}

/** Writes one file's patch; nothing at all when both sides are the same. */
export function formatFilePatch(pair: PatchPair, options: PatchOptions = {}): Uint8Array {
  const { old, new: next } = pair;
  if (!old && !next) throw new Error("a patch needs a file on one side");
  if (old && next && (old.mode === "120000") !== (next.mode === "120000")) {
    // A file cannot be edited into a link: it goes, and the link comes.
    return Buffer.concat([
      formatFilePatch({ old }, options),
      formatFilePatch({ new: next }, options),
    ]);
  }
  const oldPath = (old ?? next)!.path;
  const newPath = (next ?? old)!.path;
  const header = extendedHeader(pair);
  const body = patchBody(pair, oldPath, newPath, options);
  if (header === "" && body.length === 0) return empty;
  const first = `diff --git ${wholeName(`a/${oldPath}`)} ${wholeName(`b/${newPath}`)}\n`;
  return Buffer.concat([encoder.encode(first + header), body]);
}

/** Counts the lines that a patch of the pair would add and remove. */
export function countPatch({ old, new: next }: PatchPair): PatchCount {
  const compared = comparedLines({ old, new: next });
  if (!compared) return { added: 0, removed: 0, isBinary: !sameContents({ old, new: next }) };
  const count: PatchCount = { added: 0, removed: 0, isBinary: false };
  for (const edit of compared.edits) {
    count.added += edit.newCount;
    count.removed += edit.oldCount;
  }
  return count;
}

/** Quotes a path as git does: in octal whatever a patch's header cannot hold as it is. */
export function quotePath(path: string): string {
  const escapes: Record<number, string> = {
    7: "\\a",
    8: "\\b",
    9: "\\t",
    10: "\\n",
    11: "\\v",
    12: "\\f",
    13: "\\r",
    34: '\\"',
    92: "\\\\",
  };
  let quoted = "";
  for (const byte of encoder.encode(path)) {
    const isPlain = byte >= 0x20 && byte < 0x7f;
    const octal = `\\${byte.toString(8).padStart(3, "0")}`;
    quoted += escapes[byte] ?? (isPlain ? String.fromCharCode(byte) : octal);
  }
  return quoted === path ? path : `"${quoted}"`;
}

function extendedHeader({ old, new: next }: PatchPair): string {
  if (!old) return `new file mode ${next?.mode}\n`;
  if (!next) return `deleted file mode ${old.mode}\n`;
  let header = "";
  if (old.mode !== next.mode) header += `old mode ${old.mode}\nnew mode ${next.mode}\n`;
  if (old.path !== next.path) {
    const { bytes: oldBytes, path } = old;
    const same = sameContents({ old, new: next });
    const alike = oldBytes && next.bytes ? similarity(oldBytes, next.bytes) : 0;
    header += `similarity index ${same ? 100 : Math.min(99, Math.floor(alike * 100))}%\n`;
    header += `rename from ${quotePath(path)}\nrename to ${quotePath(next.path)}\n`;
  }
  return header;
}

function sameContents({ old, new: next }: PatchPair): boolean {
  const before = old ? old.bytes : empty;
  const after = next ? next.bytes : empty;
  return before !== undefined && after !== undefined && Buffer.compare(before, after) === 0;
}

function patchBody(
  pair: PatchPair,
  oldPath: string,
  newPath: string,
  { context = 3, binary = false }: PatchOptions,
): Uint8Array {
  if (sameContents(pair)) {
    // An empty file that comes or goes has no lines to show, but `patch` must know which it is.
    return encoder.encode(pair.old && pair.new ? "" : indexLine(pair, false));
  }
  const compared = comparedLines(pair);
  const index = indexLine(pair, !compared && binary);
  const oldName = pair.old ? `a/${oldPath}` : "/dev/null";
  const newName = pair.new ? `b/${newPath}` : "/dev/null";
  if (compared) {
    const names = `${index}--- ${fileName(oldName)}\n+++ ${fileName(newName)}\n`;
    const hunks = formatHunks(compared.before, compared.after, compared.edits, context);
    return Buffer.concat([encoder.encode(names), hunks]);
  }
  if (binary && index !== "") {
    const patch = binaryPatch(pair.old?.bytes, pair.new?.bytes);
    return Buffer.concat([encoder.encode(index), patch]);
  }
  const text = `Binary files ${quotePath(oldName)} and ${quotePath(newName)} differ\n`;
  return encoder.encode(index + text);
}

/**
 * Names both contents by git's hashes: `git apply` asks for them with binary patches, and `patch`
 * learns from them that a file is a link, or that an empty one is gone.
 */
function indexLine({ old, new: next }: PatchPair, isWhole: boolean): string {
  if ((old && !old.bytes) || (next && !next.bytes)) return "";
  const length = isWhole ? 40 : 10;
  const hashes = [gitHash(old?.bytes), gitHash(next?.bytes)].map((hash) => hash.slice(0, length));
  const mode = old && old.mode === next?.mode ? ` ${old.mode}` : "";
  return `index ${hashes.join("..")}${mode}\n`;
}

/** Compares texts by lines; nothing when one is no text, or too large. */
export function comparedLines({
  old,
  new: next,
}: PatchPair): { before: Lines; after: Lines; edits: Edit[] } | undefined {
  const oldBytes = old ? old.bytes : empty;
  const newBytes = next ? next.bytes : empty;
  if (!oldBytes || !newBytes || !isText(oldBytes) || !isText(newBytes)) return undefined;
  if (hasMoreLines(oldBytes, textLinesMax) || hasMoreLines(newBytes, textLinesMax))
    return undefined;
  const before = splitLines(oldBytes);
  const after = splitLines(newBytes);
  return { before, after, edits: diffLines(before, after) };
}

/** Where two names share a line, those with spaces are quoted, or `patch` could not part them. */
function wholeName(name: string): string {
  const quoted = quotePath(name);
  return quoted === name && name.includes(" ") ? `"${name}"` : quoted;
}

/** A name after --- or +++: a tab ends one with spaces, or `patch` would stop at the first. */
function fileName(name: string): string {
  return quotePath(name) + (name.includes(" ") ? "\t" : "");
}
