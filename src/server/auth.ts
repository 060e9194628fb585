/**
 * The one place that decides who may do what: by `access/needs.ts`, by who calls, and by what
 * that user's token reaches. Nothing is open by accident.
 */
import { timingSafeEqual } from "node:crypto";

import { PogoError } from "#core/errors.ts";
import { tokenUsedAgainMs } from "#core/limits.ts";
import { checkRepositoryName } from "#core/name.ts";
import { includesRole, roles, type Role } from "#core/role.ts";
import { needOfCall, type Need } from "./access/needs.ts";
import { hashSecret, isInvite, isMistyped, newTokenText } from "./access/secret-text.ts";
import { transaction, type Queries, type Sql } from "./db/connect.ts";
import { findRepository, type RepositoryRow } from "./db/repositories.ts";
import { createToken, findToken, hasToken, revokeToken, touchToken } from "./db/tokens.ts";
import type { TokenRow } from "./db/tokens.ts";
import { ensureUser, setAdmin } from "./db/users.ts";

/** Who calls: the owner of a valid token. */
export type Caller = {
  userId: number;
  userName: string;
  /** Administers the server, whatever the token reaches. */
  isAdmin: boolean;
  token: TokenRow;
  /** Path of the call's method, and what it needs, by the table. */
  method: string;
  need: Need;
  /** Whence the call comes. */
  address: string;
  /** What the caller may do, by this token, in the repository that the call is about. */
  role?: Role;
};

/** The user who is there from the first start on. */
const rootUserName = "root";

/**
 * The cause of a "not found" of a repository that is not there, or that the caller may not know
 * of. Both are noted: how long it takes tells no more than the answer does.
 */
export const unknownRepository = Symbol("unknown repository");

const logInHint = "pogo login URL, or set POGO_TOKEN";

/** A call as far as it decides what its caller may do. */
export type AskedCall = { token: string | undefined; method: string; address: string };

/**
 * Finds out who calls. No token is nobody; a token that is not valid is denied, also for what
 * nobody needs one for.
 */
export async function authenticate(sql: Sql, call: AskedCall): Promise<Caller | undefined> {
  const { token, method, address } = call;
  const need = needOfCall(method);
  if (token === undefined) return undefined;
  const hash = hashSecret(token);
  const row = await findToken(sql, hash);
  // The index found it; that it is equal is said in a time that does not tell how much of it was.
  if (!row || !timingSafeEqual(row.hash, hash)) throw notValid(token);
  if (row.lastUsedAt === null || Date.now() - row.lastUsedAt.getTime() > tokenUsedAgainMs) {
    // Nobody waits for it, and a note that is not taken now is taken at the next call.
    touchToken(sql, row.tokenId).catch(() => {});
  }
  const { userId, userName, isAdmin } = row;
  return { userId, userName, isAdmin, token: row, method, need, address };
}

/** Refuses whoever may not make a call, whatever it is about. */
export function admit(caller: Caller | undefined, method: string): Caller | undefined {
  const need = needOfCall(method);
  if (need === "nobody" || need === "read") return caller;
  const user = requireUser(caller);
  if (need === "account" || need === "root") requireWhole(user);
  if (need === "root" && !user.isAdmin) {
    throw new PogoError("denied", `${user.userName} does not administer this server`);
  }
  return user;
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
  const needed = roleNeeded(caller, "read");
  const repository = await findReadable(sql, caller, name);
  if (needed !== "read") refuseUnless(caller, repository, needed);
  return repository;
}

/** Finds a repository for somebody who may write it. */
export async function requireWrite(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
): Promise<{ repository: RepositoryRow; caller: Caller }> {
  return await requireRole(sql, caller, name, "write");
}

/** Finds a repository for somebody who may say what the others must keep to. */
export async function requireMaintain(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
): Promise<{ repository: RepositoryRow; caller: Caller }> {
  return await requireRole(sql, caller, name, "maintain");
}

/** Finds a repository for somebody who may say what is allowed in it. */
export async function requireAdmin(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
): Promise<{ repository: RepositoryRow; caller: Caller }> {
  return await requireRole(sql, caller, name, "admin");
}

/**
 * Finds a repository for somebody who may read its secrets: who administers it, or a token that
 * somebody who does made for it. No role that writes is enough, as what writes is not what builds.
 */
export async function requireSecrets(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
): Promise<{ repository: RepositoryRow; caller: Caller }> {
  const user = requireUser(caller);
  const { userName, token, need } = user;
  if (need !== "secrets") throw new Error(`the call needs secrets, and its row says ${need}`);
  const repository = await findReadable(sql, user, name);
  const { repositoryId, role } = repository;
  const isMadeToRead = token.readsSecrets && token.repositoryId === repositoryId && role !== null;
  if (isMadeToRead || includesRole(role, "admin")) return { repository, caller: user };
  throw new PogoError("denied", `${userName} may not read the secrets of ${name} by this token`, {
    hint: `who administers it may, and tokens for it: pogo token create ci --deploy ${name} --secrets`,
  });
}

/** What decides which repositories a caller may see, and what else in them. */
export function reachOf(caller: Caller | undefined) {
  if (!caller) return undefined;
  const { userId, isAdmin, token } = caller;
  return { userId, isAdmin, scope: token.scope, repositoryId: token.repositoryId };
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
    if (isNew) await setAdmin(tx, userId, true);
    if (!isNew && given === undefined) return { generated: undefined };
    const text = given ?? newTokenText();
    const hash = hashSecret(text);
    if (await hasToken(tx, hash)) return { generated: undefined };
    await revokeToken(tx, userId, rootUserName);
    await createToken(tx, { userId, name: rootUserName, hash });
    return { generated: given === undefined ? text : undefined };
  });
}

function notValid(token: string): PogoError {
  if (isInvite(token)) {
    const hint = "redeem it: pogo login URL --invite";
    return new PogoError("denied", "this is an invite, not a token", { hint });
  }
  const why = isMistyped(token) ? "is mistyped or cut off" : "is not valid here";
  return new PogoError("denied", `the token ${why}`, { hint: logInHint });
}

/** Refuses a token that may not do all that its owner may: it could make itself a better one. */
function requireWhole({ token }: Caller): void {
  if (token.scope === "admin" && token.repositoryId === null && !token.isDeploy) return;
  throw new PogoError("denied", `the token ${JSON.stringify(token.name)} is limited`, {
    hint: "use one that may do all that you may: pogo login URL",
  });
}

async function requireRole(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
  asked: Role,
): Promise<{ repository: RepositoryRow; caller: Caller }> {
  const user = requireUser(caller);
  const needed = roleNeeded(user, asked);
  const repository = await findReadable(sql, user, name);
  const role = refuseUnless(user, repository, needed);
  return { repository, caller: { ...user, role } };
}

async function findReadable(
  sql: Queries,
  caller: Caller | undefined,
  name: string,
): Promise<RepositoryRow> {
  checkRepositoryName(name);
  const repository = await findRepository(sql, name, reachOf(caller));
  if (repository && (repository.public || repository.role !== null)) return repository;
  // Nobody learns whether it is there: a stranger's repository and none at all look the same.
  if (!caller) {
    const message = `repository ${JSON.stringify(name)} is not public: this needs a token`;
    throw new PogoError("denied", message, { hint: logInHint });
  }
  throw new PogoError("not-found", `no repository is named ${JSON.stringify(name)}`, {
    cause: unknownRepository,
  });
}

/** The stricter of what the table says and what the handler asks for. */
function roleNeeded(caller: Caller | undefined, asked: Role): Role {
  const need = roles.find((role) => role === caller?.need);
  if (!need) return asked;
  if (!includesRole(need, asked)) {
    throw new Error(`the call needs ${asked}, and its row says ${need}`);
  }
  return need;
}

function refuseUnless(
  caller: Caller | undefined,
  { name, role, memberRole }: RepositoryRow,
  needed: Role,
): Role {
  if (role !== null && includesRole(role, needed)) return role;
  const { userName, token } = requireUser(caller);
  if (includesRole(memberRole, needed)) {
    const message = `the token ${JSON.stringify(token.name)} may not ${verbs[needed]} ${name}`;
    throw new PogoError("denied", message, { hint: "use one of a larger scope: pogo token list" });
  }
  throw new PogoError("denied", `${userName} may not ${verbs[needed]} ${name}`, {
    hint: `whoever administers it may allow it: pogo member set ${name} ${userName} ${needed}`,
  });
}

const verbs: Record<Role, string> = {
  read: "read",
  write: "write to repository",
  maintain: "maintain repository",
  admin: "administer repository",
};
