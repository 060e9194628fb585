/**
 * Paths are relative, their parts joined by "/". They are validated when scanned, when received
 * by the server, and again before a checkout touches the disk; all three ask this file.
 */
import { PogoError } from "./errors.ts";
import { nameBytesMax, pathBytesMax, pathDepthMax, symlinkBytesMax } from "./limits.ts";

/** The directory in a working copy's root that is Pogo's own. */
export const controlDirectory = ".pogo";

// What Windows would open instead of a file, with or without an extension.
const deviceName = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)/i;
// The directories whose files somebody obeys: Pogo, and git wherever it finds one, hooks and all.
// Windows drops what may follow, takes a colon for one of the directory's streams, and has short
// names as well.
const reservedName = /^(?:\.(pogo|git)|(pogo|git)~\d+)[. ]*(?::|$)/i;
const asciiName = /^[\x20-\x7e]*$/;
// Characters that HFS+ ignores in names: ".po\u200cgo" would be ".pogo" there.
const ignoredOnHfs = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;

/** Says what is wrong with one part of a path, or nothing when it is safe everywhere. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "is empty";
  if (name === "." || name === "..") return "names a directory relative to itself";
  if (!name.isWellFormed()) return "is not valid Unicode";
  if (Buffer.byteLength(name) > nameBytesMax) return `is longer than ${nameBytesMax} bytes`;
  if (name.includes("\0")) return "contains NUL";
  if (name.includes("/")) return "contains a slash";
  if (/^[a-z]:/i.test(name)) return "begins like a Windows drive";
  const owner = reservedFor(name);
  if (owner) return `is reserved for ${owner}`;
  // Windows would take a backslash for a slash: what it would make of the name must be safe too.
  if (name.includes("\\")) {
    const parts = name.split("\\");
    if (parts.some((part) => part === "" || part === "." || part === ".." || reservedFor(part))) {
      return "is an unsafe path on Windows";
    }
  }
  return undefined;
}

/** Says why Windows cannot hold a name that is safe elsewhere, or nothing when it can. */
export function windowsNameProblem(name: string): string | undefined {
  if (/[<>:"|?*\\\u0001-\u001f]/.test(name)) return "contains a character that Windows refuses";
  if (/[. ]$/.test(name)) return "ends in a dot or a space, which Windows drops";
  if (deviceName.test(name)) return "is a device on Windows";
  return undefined;
}

/** Says what is wrong with a whole path, or nothing when it is safe everywhere. */
export function pathProblem(path: string): string | undefined {
  if (Buffer.byteLength(path) > pathBytesMax) return `is longer than ${pathBytesMax} bytes`;
  const parts = path.split("/");
  if (parts.length > pathDepthMax) return `is deeper than ${pathDepthMax} directories`;
  for (const part of parts) {
    const problem = nameProblem(part);
    if (problem) return problem;
  }
  return undefined;
}

/** Refuses a path that is not safe everywhere. */
export function checkPath(path: string): void {
  const problem = pathProblem(path);
  if (problem) throw new PogoError("usage", `path ${JSON.stringify(path)} ${problem}`);
}

/** Says what is wrong with a symlink's text alone; where it leads is `symlinkEscapes`. */
export function symlinkProblem(target: string): string | undefined {
  if (target === "") return "is empty";
  if (!target.isWellFormed()) return "is not valid Unicode";
  if (target.includes("\0")) return "contains NUL";
  if (Buffer.byteLength(target) > symlinkBytesMax) return "is too long";
  if (target.startsWith("/") || target.startsWith("\\") || /^[a-z]:/i.test(target)) {
    return "is absolute";
  }
  return undefined;
}

/**
 * Tells whether the symlink at `path` leads out of the repository, into Pogo's directory or git's.
 * So does, for all we know, one that goes up after it went down: what it went through may be a
 * symlink that is shallower than it looks.
 */
export function symlinkEscapes(path: string, target: string): boolean {
  if (symlinkProblem(target)) return true;
  const parts = path.split("/").slice(0, -1);
  let wentDown = false;
  for (const part of target.replaceAll("\\", "/").split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") {
      parts.push(part);
      wentDown = true;
    } else if (wentDown || parts.pop() === undefined) {
      return true;
    }
  }
  return parts.some((part) => reservedFor(part) !== undefined);
}

/**
 * Folds a name the way that case-insensitive, normalizing file systems (APFS, NTFS, HFS+) do:
 * two names with one fold cannot stand in one directory there.
 */
export function foldName(name: string): string {
  const bare = name.replace(ignoredOnHfs, "").replace(/[. ]+$/, "") || name;
  return bare.normalize("NFC").toUpperCase().toLowerCase().normalize("NFC");
}

/** Joins a directory and a name; the root directory is "". */
export function joinPath(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** Directory that a path is in; the root's is the root. */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Whose a name is, as some file system would read it. */
function reservedFor(name: string): string | undefined {
  const match = reservedName.exec(asciiName.test(name) ? name : foldName(name));
  if (!match) return undefined;
  const [, dotted = match[2]] = match;
  return dotted?.toLowerCase() === "git" ? "git's own .git" : `Pogo's own ${controlDirectory}`;
}
