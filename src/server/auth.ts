/**
 * The one place for permissions. Nothing is open by accident: a call carries a valid token, or it
 * only reads a public repository.
 */
import { PogoError } from "#core/errors.ts";
import { sha256, type Hash } from "#core/hash.ts";
import { checkRepositoryName } from "#core/name.ts";
import { transaction, type Queries, type Sql } from "./db/connect.ts";
import { findRepository, type RepositoryRow, type Role } from "./db/repositories.ts";
import {
  createToken,
  ensureUser,
  findToken,
  hasToken,
  revokeToken,
  touchToken,
  type TokenRow,
} from "./db/users.ts";

/** Who calls: the owner of a valid token. */
export type Caller = { userId: number; userName: string; token: TokenRow };

/** The user who may make others. */
export const rootUserName = "root";

/** A token that people choose must be as hard to guess as it is easy to type. */
export const rootTokenLengthMin = 20;

const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const secretLength = 38;
const checksumLength = 6;
const touchAfterMs = 60_000;

const logInHint = "pogo login URL, or set POGO_TOKEN";

/** Makes the text of a token: its last six letters tell a mistyped one from a revoked one. */
export function newTokenText(): string {
  let text = "pogo_";
  while (text.length < 5 + secretLength) {
    for (const byte of crypto.getRandomValues(new Uint8Array(secretLength))) {
      // 248 is the largest multiple of 62: the rest would make the first letters likelier.
      if (byte < 248 && text.length < 5 + secretLength) text += letters.charAt(byte % 62);
    }
  }
  return text + checksumOf(text);
}

/** Hashes a token the way that the database knows it. */
export function hashToken(text: string): Hash {
  return sha256(Buffer.from(text));
}

/** Finds out who calls. No token is nobody; a token that is not valid is denied. */
export async function authenticate(
  sql: Sql,
  token: string | undefined,
): Promise<Caller | undefined> {
  if (token === undefined) return undefined;
  const row = await findToken(sql, hashToken(token));
  if (!row) {
    const why = isMistyped(token) ? "is mistyped or cut off" : "is not valid here";
    throw new PogoError("denied", `the token ${why}`, { hint: logInHint });
  }
  if (row.lastUsedAt === null || Date.now() - row.lastUsedAt.getTime() > touchAfterMs) {
    // Nobody waits for it, and a note that is not taken now is taken at the next call.
    touchToken(sql, row.tokenId).catch(() => {});
  }
  return { userId: row.userId, userName: row.userName, token: row };
}

/** Refuses a caller who showed no token. */
export function requireUser(caller: Caller | undefined): Caller {
  if (caller) return caller;
  throw new PogoError("denied", "this needs a token", { hint: logInHint });
}

/** Finds a repository for somebody who may read it. */
export async function requireRead(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
): Promise<RepositoryRow> {
  checkRepositoryName(name);
  const repository = await findRepository(sql, name, caller?.userId);
  if (repository && (repository.public || repository.role !== null)) return repository;
  // Nobody learns whether it is there: a stranger's repository and none at all look the same.
  if (!caller) {
    const message = `repository ${JSON.stringify(name)} is not public: this needs a token`;
    throw new PogoError("denied", message, { hint: logInHint });
  }
  throw new PogoError("not-found", `no repository is named ${JSON.stringify(name)}`);
}

/** Finds a repository for somebody who may write it. */
export async function requireWrite(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
): Promise<{ repository: RepositoryRow; caller: Caller }> {
  return await requireRole(sql, caller, name, ["write", "admin"]);
}

/** Finds a repository for somebody who may say what is allowed in it. */
export async function requireAdmin(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
): Promise<{ repository: RepositoryRow; caller: Caller }> {
  return await requireRole(sql, caller, name, ["admin"]);
}

/**
 * Creates the user root and its token on the first start. Says the token's text if it was made up
 * here. Another token given later takes the place of the one before.
 */
export async function ensureRoot(
  sql: Sql,
  given: string | undefined,
): Promise<{ generated: string | undefined }> {
  return await transaction(sql, async (tx) => {
    const { userId, isNew } = await ensureUser(tx, rootUserName);
    if (!isNew && given === undefined) return { generated: undefined };
    const text = given ?? newTokenText();
    const hash = hashToken(text);
    if (await hasToken(tx, hash)) return { generated: undefined };
    await revokeToken(tx, userId, rootUserName);
    await createToken(tx, { userId, name: rootUserName, hash, expiresAt: null });
    return { generated: given === undefined ? text : undefined };
  });
}

async function requireRole(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
  roles: readonly Role[],
): Promise<{ repository: RepositoryRow; caller: Caller }> {
  const user = requireUser(caller);
  const repository = await requireRead(sql, user, name);
  if (repository.role !== null && roles.includes(repository.role)) {
    return { repository, caller: user };
  }
  throw new PogoError("denied", `${user.userName} may not write to repository ${name}`);
}

function checksumOf(text: string): string {
  let rest = Bun.hash.crc32(text);
  let digits = "";
  while (digits.length < checksumLength) {
    digits = letters.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

function isMistyped(text: string): boolean {
  const looksLikeOne = text.startsWith("pogo_");
  return looksLikeOne && checksumOf(text.slice(0, -checksumLength)) !== text.slice(-checksumLength);
}
