import { PogoError } from "#core/errors.ts";
import { checkTokenName, checkUserName } from "#core/name.ts";
import { checkScope } from "#core/role.ts";
import type {
  AuthServiceServer,
  CreateTokenRequest,
  CreateTokenResponse,
  GetUserResponse,
  ListTokensResponse,
  RevokeTokenRequest,
  RevokeTokenResponse,
} from "#gen/pogo/v1/auth.ts";
import { audit } from "../access/audit.ts";
import { hashSecret, newTokenText } from "../access/secret-text.ts";
import { requireRead, requireUser, type Caller } from "../auth.ts";
import { transaction } from "../db/connect.ts";
import {
  createToken as createInDatabase,
  listTokens as listInDatabase,
  revokeToken as revokeInDatabase,
} from "../db/tokens.ts";
import { ensureUser } from "../db/users.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { readExpiry, tokenExists, tokenMessage } from "./token-message.ts";

/** Makes the service. */
export function authService(parts: Parts, { unary }: CallHandlers): AuthServiceServer {
  return {
    getUser: unary((_request, caller) => getUser(caller)),
    createToken: unary((request: CreateTokenRequest, caller) =>
      createToken(parts, request, caller),
    ),
    listTokens: unary((_request, caller) => listTokens(parts, caller)),
    revokeToken: unary((request: RevokeTokenRequest, caller) =>
      revokeToken(parts, request, caller),
    ),
  };
}

/** Says who calls. */
export async function getUser(caller: Caller | undefined): Promise<GetUserResponse> {
  const user = requireUser(caller);
  return { name: user.userName, token: tokenMessage(user.token), admin: user.isAdmin };
}

/** Creates a token for the caller, or by the hand of who administers the server for another. */
export async function createToken(
  { sql }: Parts,
  request: CreateTokenRequest,
  caller: Caller | undefined,
): Promise<CreateTokenResponse> {
  const user = requireUser(caller);
  const { name } = request;
  const owner = request.user === "" ? user.userName : request.user;
  checkTokenName(name);
  checkUserName(owner);
  if (owner !== user.userName && !user.isAdmin) {
    throw new PogoError("denied", "only who administers the server may create tokens for others");
  }
  const scope = checkScope(request.scope ?? "admin");
  const expiresAt = readExpiry(request.expiresAt);
  const bound = request.repository ? await requireRead(sql, user, request.repository) : undefined;
  const repositoryId = bound?.repositoryId ?? null;
  const secret = newTokenText();
  const hash = hashSecret(secret);
  const row = await transaction(sql, async (tx) => {
    const { userId } = await ensureUser(tx, owner);
    const token = { userId, name, hash, expiresAt, scope, repositoryId };
    const created = await createInDatabase(tx, token);
    const details = { user: owner, token: name, scope, expiresAt: request.expiresAt };
    const event = { ...(bound && { repositoryName: bound.name }), details };
    if (created) await audit(tx, user, event);
    return created;
  });
  if (!row) throw tokenExists(owner, name);
  return { token: tokenMessage(row), secret };
}

/** Lists the caller's tokens. */
export async function listTokens(
  { sql }: Parts,
  caller: Caller | undefined,
): Promise<ListTokensResponse> {
  const rows = await listInDatabase(sql, requireUser(caller).userId);
  return { tokens: rows.map(tokenMessage) };
}

/** Revokes one of the caller's tokens. */
export async function revokeToken(
  { sql }: Parts,
  request: RevokeTokenRequest,
  caller: Caller | undefined,
): Promise<RevokeTokenResponse> {
  const user = requireUser(caller);
  const { name } = request;
  checkTokenName(name);
  const row = await transaction(sql, async (tx) => {
    const revoked = await revokeInDatabase(tx, user.userId, name);
    if (revoked) await audit(tx, user, { details: { user: user.userName, token: name } });
    return revoked;
  });
  if (row) return { token: tokenMessage(row) };
  const message = `${user.userName} has no token named ${JSON.stringify(name)}`;
  throw new PogoError("not-found", message, { hint: "see what there is: pogo token list" });
}
