/**
 * Deploy tokens: bound to a repository and to no person. Each acts as a user of its own, who is a
 * member of that repository alone, so that all that holds for members holds for it. The name has
 * a character that no person's has.
 */
import { PogoError } from "#core/errors.ts";
import { checkUserName } from "#core/name.ts";
import { checkScope } from "#core/role.ts";
import type {
  CreateDeployTokenRequest,
  CreateDeployTokenResponse,
  ListDeployTokensRequest,
  ListDeployTokensResponse,
  RevokeDeployTokenRequest,
  RevokeDeployTokenResponse,
} from "#gen/pogo/v1/member.ts";
import { audit } from "../access/audit.ts";
import { hashSecret, newTokenText } from "../access/secret-text.ts";
import { requireAdmin, type Caller } from "../auth.ts";
import { transaction } from "../db/connect.ts";
import { lockRepository, removeRole, setRole } from "../db/members.ts";
import { createToken, listDeployTokens as listInDatabase, revokeToken } from "../db/tokens.ts";
import { listTrusts } from "../db/trusts.ts";
import { createUser, findUser } from "../db/users.ts";
import type { Parts } from "./calls.ts";
import { checkText } from "./requests.ts";
import { readExpiry, tokenExists, tokenMessage } from "./token-message.ts";

/** Creates a token for a repository. */
export async function createDeployToken(
  { sql }: Parts,
  request: CreateDeployTokenRequest,
  caller: Caller | undefined,
): Promise<CreateDeployTokenResponse> {
  const { repository, caller: user } = await requireAdmin(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  const { name, readsSecrets } = request;
  checkUserName(name);
  const scope = checkScope(request.scope);
  if (scope === "admin") {
    throw new PogoError("usage", "a deploy token may read, or read and write, and nothing more");
  }
  const expiresAt = readExpiry(request.expiresAt);
  const secret = newTokenText();
  const hash = hashSecret(secret);
  const actor = actorOf(name, repositoryName);
  const row = await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    // Both would act as the same user.
    const trusts = await listTrusts(tx, repositoryId);
    if (trusts.some((trust) => trust.name === name)) return undefined;
    const known = await createUser(tx, { name: actor, isDeploy: true });
    const owner = known ?? (await findUser(tx, actor));
    if (!owner) throw new Error(`user ${actor} is neither new nor known`);
    const { userId } = owner;
    const limits = { scope, repositoryId, readsSecrets };
    const created = await createToken(tx, { userId, name, hash, expiresAt, ...limits });
    if (!created) return undefined;
    await setRole(tx, repositoryId, { userId }, scope);
    const details = { token: name, scope, readsSecrets, expiresAt: request.expiresAt };
    await audit(tx, user, { repositoryName, details });
    return created;
  });
  if (!row) throw tokenExists(repositoryName, name);
  return { token: tokenMessage(row), secret };
}

/** Lists the tokens of a repository. */
export async function listDeployTokens(
  { sql }: Parts,
  request: ListDeployTokensRequest,
  caller: Caller | undefined,
): Promise<ListDeployTokensResponse> {
  const { repository } = await requireAdmin(sql, caller, request.repository);
  const rows = await listInDatabase(sql, repository.repositoryId);
  return { tokens: rows.map(tokenMessage) };
}

/** Revokes a token of a repository. */
export async function revokeDeployToken(
  { sql }: Parts,
  request: RevokeDeployTokenRequest,
  caller: Caller | undefined,
): Promise<RevokeDeployTokenResponse> {
  const { repository, caller: user } = await requireAdmin(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  const { name } = request;
  checkText(name);
  const row = await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    const owner = await findUser(tx, actorOf(name, repositoryName));
    const revoked = owner && (await revokeToken(tx, owner.userId, name));
    if (!owner || !revoked) return undefined;
    await removeRole(tx, repositoryId, { userId: owner.userId });
    await audit(tx, user, { repositoryName, details: { token: name } });
    return revoked;
  });
  if (row) return { token: tokenMessage(row) };
  const message = `${repositoryName} has no deploy token named ${JSON.stringify(name)}`;
  throw new PogoError("not-found", message, {
    hint: `see what there is: pogo token list --deploy ${repositoryName}`,
  });
}

/** Name of the user that such a token acts as. */
export function actorOf(name: string, repositoryName: string): string {
  return `${name}@${repositoryName}`;
}
