/** Logging in with a password that the organisation's directory knows. */
import { PogoError } from "#core/errors.ts";
import { dayMs, passwordBytesMax } from "#core/limits.ts";
import { checkTokenName, checkUserName } from "#core/name.ts";
import type { LogInRequest, LogInResponse } from "#gen/pogo/v1/user.ts";
import type { Call } from "#rpc/serve.ts";
import { transaction } from "../db/connect.ts";
import { ensureDirectoryUser, setGroups } from "../db/directory.ts";
import type { Parts } from "./calls.ts";
import { issueToken } from "./issue-token.ts";

/** Turns a name and a password into a token. */
export async function logIn(
  { sql, directory }: Parts,
  request: LogInRequest,
  call: Call,
): Promise<LogInResponse> {
  const { password, tokenName } = request;
  checkUserName(request.user);
  checkTokenName(tokenName);
  if (Buffer.byteLength(password) > passwordBytesMax) throw refused(request.user);
  if (!directory) {
    throw new PogoError("denied", "this server has no directory to ask for passwords", {
      hint: "pogo login URL asks for a token",
    });
  }
  const person = await directory.verify(request.user, password);
  if (!person) throw refused(request.user);
  const { name, groups: own } = person;
  checkUserName(name);
  const { tokenDays, groups } = directory.options;
  return await transaction(sql, async (tx) => {
    const userId = await ensureDirectoryUser(tx, name);
    if (userId === undefined) {
      throw new PogoError("denied", `${name} is a user of this server, not the directory's`, {
        hint: "pogo login URL asks for a token",
      });
    }
    await setGroups(tx, userId, { all: Object.keys(groups), own });
    const expiresAt = new Date(Date.now() + tokenDays * dayMs);
    return await issueToken(tx, call, { userId, userName: name, tokenName, expiresAt });
  });
}

function refused(name: string): PogoError {
  return new PogoError("denied", `the directory knows no ${name} with this password`);
}
