import { PogoError } from "#core/errors.ts";
import { dayMs, inviteMsMax, pageMax } from "#core/limits.ts";
import { checkTokenName, checkUserName } from "#core/name.ts";
import type {
  CreateInviteRequest,
  CreateInviteResponse,
  CreateUserRequest,
  CreateUserResponse,
  ListUsersRequest,
  ListUsersResponse,
  FinishBrowserSsoRequest,
  FinishSsoRequest,
  StartBrowserSsoRequest,
  LogInRequest,
  RedeemInviteRequest,
  RedeemInviteResponse,
  UpdateUserRequest,
  UpdateUserResponse,
  User,
  UserServiceServer,
} from "#gen/pogo/v1/user.ts";
import type { Call } from "#rpc/serve.ts";
import { audit } from "../access/audit.ts";
import { hashSecret, isMistyped, newInviteText } from "../access/secret-text.ts";
import { requireUser, type Caller } from "../auth.ts";
import { transaction, type Queries } from "../db/connect.ts";
import { createInvite as createInDatabase, takeInvite } from "../db/invites.ts";
import {
  createUser as createUserInDatabase,
  ensureUser,
  findUser,
  hasAdmin,
  listUsers as listInDatabase,
  setAdmin,
  setDisabled,
  type UserRow,
} from "../db/users.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { issueToken } from "./issue-token.ts";
import { logIn } from "./log-in.ts";
import { finishBrowserSso, finishSso, startBrowserSso, startSso } from "./sso.ts";
import { checkText } from "./requests.ts";

/** Makes the service. */
export function userService(parts: Parts, { unary }: CallHandlers): UserServiceServer {
  return {
    createUser: unary((request: CreateUserRequest, caller) => createUser(parts, request, caller)),
    listUsers: unary((request: ListUsersRequest) => listUsers(parts, request)),
    updateUser: unary((request: UpdateUserRequest, caller) => updateUser(parts, request, caller)),
    createInvite: unary((request: CreateInviteRequest, caller) =>
      createInvite(parts, request, caller),
    ),
    redeemInvite: unary((request: RedeemInviteRequest, _caller, call) =>
      redeemInvite(parts, request, call),
    ),
    startSso: unary(() => startSso(parts)),
    finishSso: unary((request: FinishSsoRequest, _caller, call) => finishSso(parts, request, call)),
    startBrowserSso: unary((request: StartBrowserSsoRequest) => startBrowserSso(parts, request)),
    finishBrowserSso: unary((request: FinishBrowserSsoRequest, _caller, call) =>
      finishBrowserSso(parts, request, call),
    ),
    logIn: unary((request: LogInRequest, _caller, call) => logIn(parts, request, call)),
  };
}

/** Creates a user, who has no token yet. */
export async function createUser(
  { sql }: Parts,
  { name, admin: isAdmin }: CreateUserRequest,
  caller: Caller | undefined,
): Promise<CreateUserResponse> {
  const user = requireUser(caller);
  checkUserName(name);
  const row = await transaction(sql, async (tx) => {
    const created = await createUserInDatabase(tx, { name, isAdmin });
    if (created) await audit(tx, user, { details: { user: name, admin: isAdmin } });
    return created;
  });
  if (row) return { user: userMessage(row) };
  throw new PogoError("already-exists", `there is a user named ${name} already`, {
    hint: "see who there is: pogo user list",
  });
}

/** Lists people by name. */
export async function listUsers(
  { sql }: Parts,
  { after }: ListUsersRequest,
): Promise<ListUsersResponse> {
  checkText(after);
  const rows = await listInDatabase(sql, after, pageMax + 1);
  return { users: rows.slice(0, pageMax).map(userMessage), more: rows.length > pageMax };
}

/** Makes a user one who administers the server or not, and one who may log in or not. */
export async function updateUser(
  { sql }: Parts,
  request: UpdateUserRequest,
  caller: Caller | undefined,
): Promise<UpdateUserResponse> {
  const user = requireUser(caller);
  const { name, admin, disabled } = request;
  const row = await transaction(sql, async (tx) => {
    const { userId } = await findPerson(tx, name);
    if (admin !== undefined) await setAdmin(tx, userId, admin);
    if (disabled !== undefined) await setDisabled(tx, userId, disabled);
    if (!(await hasAdmin(tx))) {
      throw new PogoError("conflict", `nobody but ${name} administers the server`, {
        hint: "let somebody else first: pogo user create NAME --admin",
      });
    }
    const change = {
      ...(admin !== undefined && { admin }),
      ...(disabled !== undefined && { disabled }),
    };
    await audit(tx, user, { details: { user: name, ...change } });
    return await findPerson(tx, name);
  });
  return { user: userMessage(row) };
}

/** Invites somebody, who may be a user already and have lost the token. */
export async function createInvite(
  { sql }: Parts,
  request: CreateInviteRequest,
  caller: Caller | undefined,
): Promise<CreateInviteResponse> {
  const user = requireUser(caller);
  checkUserName(request.user);
  const now = Date.now();
  if (!(request.expiresAt > now && request.expiresAt <= now + inviteMsMax)) {
    const days = inviteMsMax / dayMs;
    throw new PogoError("usage", `an invite is good for some time, and ${days} days at most`);
  }
  const expiresAt = new Date(request.expiresAt);
  const invite = newInviteText();
  const created = { hash: hashSecret(invite), userName: request.user, invitedBy: user.userId };
  await transaction(sql, async (tx) => {
    await createInDatabase(tx, { ...created, expiresAt });
    await audit(tx, user, { details: { user: request.user, expiresAt: request.expiresAt } });
  });
  return { invite };
}

/** Turns an invite into a token, once. */
export async function redeemInvite(
  { sql }: Parts,
  request: RedeemInviteRequest,
  call: Call,
): Promise<RedeemInviteResponse> {
  const { invite, tokenName } = request;
  checkTokenName(tokenName);
  return await transaction(sql, async (tx) => {
    const userName = await takeInvite(tx, hashSecret(invite));
    if (userName === undefined) throw notGood(invite);
    const { userId } = await ensureUser(tx, userName);
    return await issueToken(tx, call, { userId, userName, tokenName });
  });
}

/** Finds a person by name. */
export async function findPerson(sql: Queries, name: string): Promise<UserRow> {
  checkText(name);
  const user = await findUser(sql, name);
  if (user && !user.isDeploy) return user;
  throw new PogoError("not-found", `no user is named ${JSON.stringify(name)}`, {
    hint: "whoever administers the server creates users: pogo user create NAME",
  });
}

function notGood(invite: string): PogoError {
  const why = isMistyped(invite) ? "is mistyped or cut off" : "is not good, or no more";
  return new PogoError("denied", `the invite ${why}`, {
    hint: "ask whoever administers the server for another one",
  });
}

function userMessage({ name, isAdmin, disabledAt, createdAt }: UserRow): User {
  return { name, admin: isAdmin, disabled: disabledAt !== null, createdAt: createdAt.getTime() };
}
