/** The token of somebody who has just shown who they are. */
import type { Token } from "#gen/pogo/v1/auth.ts";
import type { Call } from "#rpc/serve.ts";
import { auditLogin } from "../access/audit.ts";
import { hashSecret, newTokenText } from "../access/secret-text.ts";
import type { Queries } from "../db/connect.ts";
import { createToken } from "../db/tokens.ts";
import { tokenExists, tokenMessage } from "./token-message.ts";

/** Creates it, within the transaction that lets them in. Its text is told this once. */
export async function issueToken(
  tx: Queries,
  call: Call,
  person: { userId: number; userName: string; tokenName: string; expiresAt?: Date | null },
): Promise<{ user: string; token: Token; secret: string }> {
  const { userId, userName, tokenName: name, expiresAt = null } = person;
  const secret = newTokenText();
  const row = await createToken(tx, { userId, name, hash: hashSecret(secret), expiresAt });
  if (!row) throw tokenExists(userName, name);
  await auditLogin(tx, call, person, { details: { user: userName, token: name } });
  return { user: userName, token: tokenMessage(row), secret };
}
