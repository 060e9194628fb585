import { PogoError } from "#core/errors.ts";
import { checkTokenName, checkUserName } from "#core/name.ts";
import type {
  AuthServiceServer,
  CreateTokenRequest,
  CreateTokenResponse,
  GetUserResponse,
  ListTokensResponse,
  RevokeTokenRequest,
  RevokeTokenResponse,
  Token,
} from "#gen/pogo/v1/auth.ts";
import { hashToken, newTokenText, requireUser, rootUserName, type Caller } from "../auth.ts";
import { transaction } from "../db/connect.ts";
import {
  createToken as createInDatabase,
  ensureUser,
  listTokens as listInDatabase,
  revokeToken as revokeInDatabase,
  type TokenRow,
} from "../db/users.ts";
import type { CallHandlers, Parts } from "./calls.ts";

// Later years have more than four digits, which PostgreSQL does not read.
const expiresAtMax = Date.UTC(10_000, 0) - 1;

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
  return { name: user.userName, token: toMessage(user.token) };
}

/** Creates a token for the caller, or by root's hand for somebody else. */
export async function createToken(
  { sql }: Parts,
  request: CreateTokenRequest,
  caller: Caller | undefined,
): Promise<CreateTokenResponse> {
  const user = requireUser(caller);
  const owner = request.user === "" ? user.userName : request.user;
  checkTokenName(request.name);
  checkUserName(owner);
  if (owner !== user.userName && user.userName !== rootUserName) {
    throw new PogoError("denied", `only ${rootUserName} may create tokens for others`);
  }
  const expiresAt = request.expiresAt === 0 ? null : new Date(request.expiresAt);
  if (expiresAt && !(expiresAt.getTime() > Date.now())) {
    throw new PogoError("usage", "the token would be expired already");
  }
  if (request.expiresAt > expiresAtMax) {
    throw new PogoError("usage", "the token would expire after the year 9999", {
      hint: "leave the time out: then it does not expire",
    });
  }
  const secret = newTokenText();
  const row = await transaction(sql, async (tx) => {
    const { userId } = await ensureUser(tx, owner);
    const hash = hashToken(secret);
    return await createInDatabase(tx, { userId, name: request.name, hash, expiresAt });
  });
  if (row) return { token: toMessage(row), secret };
  const message = `${owner} has a token named ${JSON.stringify(request.name)} already`;
  throw new PogoError("already-exists", message, { hint: "choose another name, or revoke it" });
}

/** Lists the caller's tokens. */
export async function listTokens(
  { sql }: Parts,
  caller: Caller | undefined,
): Promise<ListTokensResponse> {
  const rows = await listInDatabase(sql, requireUser(caller).userId);
  return { tokens: rows.map(toMessage) };
}

/** Revokes one of the caller's tokens. */
export async function revokeToken(
  { sql }: Parts,
  request: RevokeTokenRequest,
  caller: Caller | undefined,
): Promise<RevokeTokenResponse> {
  const user = requireUser(caller);
  checkTokenName(request.name);
  const row = await revokeInDatabase(sql, user.userId, request.name);
  if (row) return { token: toMessage(row) };
  const message = `${user.userName} has no token named ${JSON.stringify(request.name)}`;
  throw new PogoError("not-found", message, { hint: "see what there is: pogo token list" });
}

function toMessage(row: TokenRow): Token {
  return {
    name: row.name,
    createdAt: row.createdAt.getTime(),
    lastUsedAt: row.lastUsedAt?.getTime() ?? 0,
    expiresAt: row.expiresAt?.getTime() ?? 0,
  };
}
