/** The names that people and Pogo give: of changes, repositories, bookmarks, users, tokens. */
import { PogoError } from "./errors.ts";
import {
  bookmarkBytesMax,
  changeNameLength,
  repositoryNameBytesMax,
  tokenNameBytesMax,
  userNameBytesMax,
} from "./limits.ts";

// Sixteen letters, one for each four bits: never to be taken for a hexadecimal hash.
const changeLetters = "zyxwvutsrqponmlk";

/** Spells eight random bytes as the name of a change. */
export function changeName(random: Uint8Array): string {
  let name = "";
  for (const byte of random.subarray(0, changeNameLength / 2)) {
    name += changeLetters.charAt(byte >> 4) + changeLetters.charAt(byte & 15);
  }
  return name;
}

/** Tells whether a text could be a whole change name. */
export function isChangeName(text: string): boolean {
  return text.length === changeNameLength && isChangePrefix(text);
}

/** Tells whether a text could be the beginning of a change name. */
export function isChangePrefix(text: string): boolean {
  return /^[k-z]{1,16}$/.test(text);
}

/** Shortest prefix of `name` that neither neighbour in name order shares. */
export function uniquePrefix(
  name: string,
  before: string | undefined,
  after: string | undefined,
): string {
  const shared = Math.max(sharedLength(name, before), sharedLength(name, after));
  return name.slice(0, Math.min(shared + 1, name.length));
}

/** Refuses what cannot be a repository's name: it stands in URLs and in directory names. */
export function checkRepositoryName(name: string): void {
  if (/^[a-z0-9][a-z0-9._-]*$/i.test(name) && name.length <= repositoryNameBytesMax) return;
  throw new PogoError("usage", `repository name ${JSON.stringify(name)} is not allowed`, {
    hint: "use letters, digits, '.', '_' and '-', beginning with a letter or digit",
  });
}

/** Refuses what cannot be a bookmark: it must be one word that no revision operator is part of. */
export function checkBookmarkName(name: string): void {
  const allowed =
    /^[\p{L}\p{N}][\p{L}\p{N}\p{M}._/+#=-]*$/u.test(name) &&
    !name.endsWith("-") &&
    !name.includes("..") &&
    !name.includes("//") &&
    Buffer.byteLength(name) <= bookmarkBytesMax;
  if (allowed) return;
  throw new PogoError("usage", `bookmark name ${JSON.stringify(name)} is not allowed`, {
    hint: "use letters, digits and . _ / + # = -, beginning with a letter or digit, not ending in -",
  });
}

/** Refuses what cannot be a user's name. */
export function checkUserName(name: string): void {
  if (/^[a-z0-9][a-z0-9._-]*$/i.test(name) && name.length <= userNameBytesMax) return;
  throw new PogoError("usage", `user name ${JSON.stringify(name)} is not allowed`, {
    hint: "use letters, digits, '.', '_' and '-', beginning with a letter or digit",
  });
}

/** Refuses what cannot be a group's name: the same as a user's. */
export function checkGroupName(name: string): void {
  if (/^[a-z0-9][a-z0-9._-]*$/i.test(name) && name.length <= userNameBytesMax) return;
  throw new PogoError("usage", `group name ${JSON.stringify(name)} is not allowed`, {
    hint: "use letters, digits, '.', '_' and '-', beginning with a letter or digit",
  });
}

/** Refuses what cannot be a token's name. */
export function checkTokenName(name: string): void {
  if (/^[^\p{C}]+$/u.test(name) && Buffer.byteLength(name) <= tokenNameBytesMax) return;
  throw new PogoError("usage", `token name ${JSON.stringify(name)} is not allowed`);
}

function sharedLength(name: string, other: string | undefined): number {
  if (other === undefined) return 0;
  let length = 0;
  while (length < name.length && name[length] === other[length]) length++;
  return length;
}
