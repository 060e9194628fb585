/** Logging in by what a provider of identities says. */
import { PogoError } from "#core/errors.ts";
import {
  dayMs,
  ssoAnswerBytesMax,
  ssoBrowserMs,
  ssoLoginMsMax,
  ssoLoginsMax,
} from "#core/limits.ts";
import { checkTokenName, checkUserName } from "#core/name.ts";
import type {
  FinishBrowserSsoRequest,
  FinishBrowserSsoResponse,
  FinishSsoRequest,
  FinishSsoResponse,
  StartBrowserSsoRequest,
  StartBrowserSsoResponse,
  StartSsoResponse,
} from "#gen/pogo/v1/user.ts";
import type { Call } from "#rpc/serve.ts";
import { hashSecret, newTokenText } from "../access/secret-text.ts";
import { transaction, type Queries, type Sql } from "../db/connect.ts";
import { setGroups } from "../db/directory.ts";
import {
  deleteSsoLogin,
  ensureSsoUser,
  findSsoLogin,
  insertSsoLogin,
  takeBrowserLogin,
} from "../db/sso.ts";
import type { SsoOptions } from "../sso/options.ts";
import type { BrowserLogin, Sso, SsoPerson } from "../sso/sso.ts";
import type { Parts } from "./calls.ts";
import { issueToken } from "./issue-token.ts";

/** Begins a login: the user is told where to confirm which code. */
export async function startSso({ sql, sso }: Parts): Promise<StartSsoResponse> {
  const { start } = requireSso(sso);
  const { deviceCode, expiresInSeconds, ...told } = await start();
  const waitMs = Math.min(expiresInSeconds * 1000, ssoLoginMsMax);
  return { ...(await keepLogin(sql, { deviceCode }, waitMs)), ...told };
}

/** Ends a login, once somebody confirmed it. */
export async function finishSso(
  { sql, sso }: Parts,
  { handle, tokenName }: FinishSsoRequest,
  call: Call,
): Promise<FinishSsoResponse> {
  const { finish, options } = requireSso(sso);
  checkTokenName(tokenName);
  const hash = hashSecret(handle);
  const login = await findSsoLogin(sql, hash);
  if (!login) throw gone();
  const person = await finish(login.deviceCode);
  if (!person) return { pending: true, user: "", token: undefined, secret: "" };
  return await transaction(sql, async (tx) => {
    if (!(await deleteSsoLogin(tx, hash))) throw gone();
    return { pending: false, ...(await letIn(tx, call, options, person, tokenName)) };
  });
}

/** Begins a login: the user is told where to log in, and the client hears of it by the browser. */
export async function startBrowserSso(
  { sql, sso }: Parts,
  { port }: StartBrowserSsoRequest,
): Promise<StartBrowserSsoResponse> {
  const { startBrowser } = requireSso(sso);
  if (port < 1 || port > 65_535) throw new PogoError("usage", `${port} is no port`);
  // Nothing else is ever redirected to: a code that leaves the user's machine is somebody else's.
  const { address, login } = await startBrowser(`http://127.0.0.1:${port}/callback`);
  return { ...(await keepLogin(sql, login, ssoBrowserMs)), address, state: login.state };
}

/** Ends such a login, by what the browser came back with. */
export async function finishBrowserSso(
  { sql, sso }: Parts,
  { handle, answer, tokenName }: FinishBrowserSsoRequest,
  call: Call,
): Promise<FinishBrowserSsoResponse> {
  const { finishBrowser, options } = requireSso(sso);
  checkTokenName(tokenName);
  if (Buffer.byteLength(answer) > ssoAnswerBytesMax) {
    throw new PogoError("usage", "that is too long for an answer of the provider's");
  }
  const login = await takeBrowserLogin(sql, hashSecret(handle));
  if (!login) throw gone();
  const person = await finishBrowser(login, answer);
  return await transaction(sql, (tx) => letIn(tx, call, options, person, tokenName));
}

async function keepLogin(
  sql: Sql,
  login: { deviceCode: string } | BrowserLogin,
  waitMs: number,
): Promise<{ handle: string; expiresAt: number }> {
  const handle = newTokenText();
  const expiresAt = new Date(Date.now() + waitMs);
  const kept = { ...login, hash: hashSecret(handle), expiresAt, most: ssoLoginsMax };
  if (await transaction(sql, (tx) => insertSsoLogin(tx, kept))) {
    return { handle, expiresAt: expiresAt.getTime() };
  }
  throw new PogoError("unavailable", "too many logins wait to be confirmed", {
    hint: "run the command again in a while",
  });
}

async function letIn(
  tx: Queries,
  call: Call,
  options: SsoOptions,
  person: SsoPerson,
  tokenName: string,
) {
  checkUserName(person.name);
  const user = await ensureSsoUser(tx, person);
  if (!user) throw taken(person);
  const { userId, name } = user;
  await setGroups(tx, userId, { all: Object.keys(options.groups), own: person.groups });
  const expiresAt = new Date(Date.now() + options.tokenDays * dayMs);
  return await issueToken(tx, call, { userId, userName: name, tokenName, expiresAt });
}

function requireSso(sso: Sso | undefined): Sso {
  if (sso) return sso;
  throw new PogoError("denied", "this server has no directory or provider to ask who you are", {
    hint: "pogo login URL asks for a token",
  });
}

function gone(): PogoError {
  return new PogoError("denied", "the login is over, or never was", { hint: "begin again" });
}

function taken({ name }: SsoPerson): PogoError {
  return new PogoError("denied", `${name} is somebody else on this server`, {
    hint: "ask whoever administers the server",
  });
}
