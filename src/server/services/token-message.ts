/** Tokens as they are asked for and told of. */
import { PogoError } from "#core/errors.ts";
import { expiresAtMax } from "#core/limits.ts";
import type { Token } from "#gen/pogo/v1/auth.ts";
import type { TokenRow } from "../db/tokens.ts";

/** Tells of a token, without its text. */
export function tokenMessage(row: TokenRow): Token {
  return {
    name: row.name,
    createdAt: row.createdAt.getTime(),
    lastUsedAt: row.lastUsedAt?.getTime() ?? 0,
    expiresAt: row.expiresAt?.getTime() ?? 0,
    scope: row.scope,
    repository: row.repositoryName ?? "",
    readsSecrets: row.readsSecrets,
  };
}

/** Reads until when a token is to be good; null is for ever. */
export function readExpiry(expiresAt: number): Date | null {
  if (expiresAt === 0) return null;
  if (!(expiresAt > Date.now())) {
    throw new PogoError("usage", "the token would be expired already");
  }
  if (expiresAt > expiresAtMax) {
    throw new PogoError("usage", "the token would expire after the year 9999", {
      hint: "leave the time out: then it does not expire",
    });
  }
  return new Date(expiresAt);
}

/** Says that a name is taken. */
export function tokenExists(owner: string, name: string): PogoError {
  const message = `${owner} has a token named ${JSON.stringify(name)} already`;
  return new PogoError("already-exists", message, { hint: "choose another name, or revoke it" });
}
