/** Logging in by what a provider of identities says. */
import { PogoError } from "#core/errors.ts";
import { dayMs, ssoLoginMsMax, ssoLoginsMax } from "#core/limits.ts";
import { checkTokenName, checkUserName } from "#core/name.ts";
import type { FinishSsoRequest, FinishSsoResponse, StartSsoResponse } from "#gen/pogo/v1/user.ts";
import type { Call } from "#rpc/serve.ts";
import { hashSecret, newTokenText } from "../access/secret-text.ts";
import { transaction } from "../db/connect.ts";
import { setGroups } from "../db/directory.ts";
import { deleteSsoLogin, ensureSsoUser, findSsoLogin, insertSsoLogin } from "../db/sso.ts";
import type { Sso, SsoPerson } from "../sso/sso.ts";
import type { Parts } from "./calls.ts";
import { issueToken } from "./issue-token.ts";

/** Begins a login: the user is told where to confirm which code. */
export async function startSso({ sql, sso }: Parts): Promise<StartSsoResponse> {
  const { start } = requireSso(sso);
  const { deviceCode, expiresInSeconds, ...told } = await start();
  const handle = newTokenText();
  const expiresAt = new Date(Date.now() + Math.min(expiresInSeconds * 1000, ssoLoginMsMax));
  const login = { hash: hashSecret(handle), deviceCode, expiresAt, most: ssoLoginsMax };
  if (!(await transaction(sql, (tx) => insertSsoLogin(tx, login)))) {
    throw new PogoError("unavailable", "too many logins wait to be confirmed", {
      hint: "run the command again in a while",
    });
  }
  return { handle, expiresAt: expiresAt.getTime(), ...told };
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
  checkUserName(person.name);
  return await transaction(sql, async (tx) => {
    if (!(await deleteSsoLogin(tx, hash))) throw gone();
    const user = await ensureSsoUser(tx, person);
    if (!user) throw taken(person);
    const { userId, name } = user;
    await setGroups(tx, userId, { all: Object.keys(options.groups), own: person.groups });
    const expiresAt = new Date(Date.now() + options.tokenDays * dayMs);
    const issued = await issueToken(tx, call, { userId, userName: name, tokenName, expiresAt });
    return { pending: false, ...issued };
  });
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
