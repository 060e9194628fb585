/** Secrets of a repository: what they may be called, and what they may be. */
import { PogoError } from "./errors.ts";
import { secretBytesMax, secretNameBytesMax } from "./limits.ts";

/** Refuses what cannot be a secret's name: a build finds it in a variable of that name. */
export function checkSecretName(name: string): void {
  if (/^[a-z_]\w*$/i.test(name) && name.length <= secretNameBytesMax) return;
  // It is not repeated: it may have the value in it, as in NAME=VALUE.
  throw new PogoError("usage", "that is not allowed as the name of a secret", {
    hint: "use letters, digits and '_', beginning with no digit",
  });
}

/** Refuses what cannot be a secret: what no variable holds, or what is too large for one. */
export function checkSecretValue(value: string): void {
  const bytes = Buffer.byteLength(value);
  if (bytes === 0) throw new PogoError("usage", "the secret is empty");
  if (bytes > secretBytesMax) {
    const message = `the secret has ${bytes} bytes: ${secretBytesMax} may be`;
    throw new PogoError("usage", message);
  }
  if (value.isWellFormed() && !value.includes("\0")) return;
  throw new PogoError("usage", "the secret is no text", { hint: "set it in base64" });
}
