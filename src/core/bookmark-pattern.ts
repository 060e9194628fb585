/** Patterns of bookmarks' names: a name in which "*" stands for any text, also for none. */
import { PogoError } from "./errors.ts";
import { bookmarkBytesMax } from "./limits.ts";

/** Refuses what could match no bookmark. */
export function checkBookmarkPattern(pattern: string): void {
  const allowed =
    /^[\p{L}\p{N}*][\p{L}\p{N}\p{M}._/+#=*-]*$/u.test(pattern) &&
    Buffer.byteLength(pattern) <= bookmarkBytesMax;
  if (allowed) return;
  throw new PogoError("usage", `${JSON.stringify(pattern)} is no pattern of bookmarks`, {
    hint: 'write a bookmark\'s name, with "*" for any text: main, v*, release/*',
  });
}

/** Tells whether a bookmark's name is one that a pattern means. */
export function matchesPattern(pattern: string, name: string): boolean {
  const [first = "", ...others] = pattern.split("*");
  const last = others.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first)) return false;
  // The leftmost place leaves most of the name for what follows.
  let from = first.length;
  for (const part of others) {
    const at = name.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return name.length - last.length >= from && name.endsWith(last);
}
