import { matchesPattern } from "#core/bookmark-pattern.ts";
import { PogoError } from "#core/errors.ts";
import { trustsMax, trustTextBytesMax, workloadTokenMs } from "#core/limits.ts";
import { checkUserName } from "#core/name.ts";
import type {
  ExchangeTokenRequest,
  ExchangeTokenResponse,
  ListTrustsRequest,
  ListTrustsResponse,
  RemoveTrustRequest,
  RemoveTrustResponse,
  SetTrustRequest,
  SetTrustResponse,
  WorkloadServiceServer,
} from "#gen/pogo/v1/workload.ts";
import type { Call } from "#rpc/serve.ts";
import { audit, auditLogin } from "../access/audit.ts";
import { hashSecret, newTokenText } from "../access/secret-text.ts";
import { requireAdmin, type Caller } from "../auth.ts";
import { transaction, type Queries } from "../db/connect.ts";
import { lockRepository, removeRole, setRole } from "../db/members.ts";
import { findRepository } from "../db/repositories.ts";
import { createToken, listDeployTokens } from "../db/tokens.ts";
import {
  forgetExpiredTokens,
  listTrusts as listInDatabase,
  removeTrust as removeInDatabase,
  revokeAllTokens,
  setTrust as setInDatabase,
  type TrustRow,
} from "../db/trusts.ts";
import { createUser, findUser, type UserRow } from "../db/users.ts";
import type { WorkloadClaims, WorkloadIssuers } from "../sso/workload.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { actorOf } from "./deploy-token.ts";
import { checkText } from "./requests.ts";
import { tokenExists } from "./token-message.ts";

/** Makes the service. */
export function workloadService(parts: Parts, { unary }: CallHandlers): WorkloadServiceServer {
  return {
    setTrust: unary((request: SetTrustRequest, caller) => setTrust(parts, request, caller)),
    listTrusts: unary((request: ListTrustsRequest, caller) => listTrusts(parts, request, caller)),
    removeTrust: unary((request: RemoveTrustRequest, caller) =>
      removeTrust(parts, request, caller),
    ),
    exchangeToken: unary((request: ExchangeTokenRequest, _caller, call) =>
      exchangeToken(parts, request, call),
    ),
  };
}

/** Says whom to believe. */
export async function setTrust(
  { sql, issuers }: Parts,
  request: SetTrustRequest,
  caller: Caller | undefined,
): Promise<SetTrustResponse> {
  const { repository, caller: user } = await requireAdmin(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  const trust = readTrust(request, issuers);
  await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    const trusts = await listInDatabase(tx, repositoryId);
    const before = trusts.find(({ name }) => name === trust.name);
    if (!before && trusts.length >= trustsMax) {
      throw new PogoError("usage", `${repositoryName} trusts ${trustsMax}, which is the most`);
    }
    // Both would act as the same user.
    const tokens = await listDeployTokens(tx, repositoryId);
    if (tokens.some(({ name }) => name === trust.name))
      throw tokenExists(repositoryName, trust.name);
    await setInDatabase(tx, repositoryId, trust);
    const { userId } = await ensureActor(tx, trust.name, repositoryName);
    // What was given in exchange before may be more than what is now.
    await revokeAllTokens(tx, userId);
    await setRole(tx, repositoryId, { userId }, trust.scope);
    await audit(tx, user, { repositoryName, details: { trust, before: before ?? null } });
  });
  return { trust };
}

/** Lists whom a repository believes. */
export async function listTrusts(
  { sql }: Parts,
  request: ListTrustsRequest,
  caller: Caller | undefined,
): Promise<ListTrustsResponse> {
  const { repository } = await requireAdmin(sql, caller, request.repository);
  return { trusts: await listInDatabase(sql, repository.repositoryId) };
}

/** Believes somebody no more. */
export async function removeTrust(
  { sql }: Parts,
  request: RemoveTrustRequest,
  caller: Caller | undefined,
): Promise<RemoveTrustResponse> {
  const { repository, caller: user } = await requireAdmin(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  checkText(request.name);
  const trust = await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    const trusts = await listInDatabase(tx, repositoryId);
    const found = trusts.find(({ name }) => name === request.name);
    if (!found) {
      throw new PogoError("not-found", `no trust is named ${JSON.stringify(request.name)}`, {
        hint: `see what there is: pogo repo trusts ${repositoryName}`,
      });
    }
    await removeInDatabase(tx, repositoryId, found.name);
    const { userId } = await ensureActor(tx, found.name, repositoryName);
    await revokeAllTokens(tx, userId);
    await removeRole(tx, repositoryId, { userId });
    await audit(tx, user, { repositoryName, details: { before: found } });
    return found;
  });
  return { trust };
}

/** Gives a token in exchange for one that an issuer signed. */
export async function exchangeToken(
  { sql, issuers }: Parts,
  request: ExchangeTokenRequest,
  call: Call,
): Promise<ExchangeTokenResponse> {
  checkText(request.repository);
  if (!issuers) throw notTrusted();
  const claims = await issuers.verify(request.token);
  const secret = newTokenText();
  const expiresAt = new Date(Date.now() + workloadTokenMs);
  return await transaction(sql, async (tx) => {
    const repository = await findRepository(tx, request.repository, undefined);
    const trusts = repository ? await listInDatabase(tx, repository.repositoryId) : [];
    // Of a repository that is not there no more is said than of one that trusts nobody.
    const trust = trusts.find((known) => isMeant(known, claims));
    if (!repository || !trust) throw notTrusted();
    const { repositoryId, name: repositoryName } = repository;
    const { userId, name: userName } = await ensureActor(tx, trust.name, repositoryName);
    await forgetExpiredTokens(tx, userId);
    // A name of its own: many builds run at once.
    const name = `${trust.name} ${expiresAt.toISOString()} ${hashSecret(secret).toHex().slice(0, 8)}`;
    const hash = hashSecret(secret);
    const { scope, readsSecrets } = trust;
    const limits = { scope, repositoryId, readsSecrets };
    await createToken(tx, { userId, name, hash, expiresAt, ...limits });
    await auditLogin(
      tx,
      call,
      { userId, userName },
      {
        repositoryName,
        details: { trust: trust.name, issuer: claims.issuer, subject: claims.subject },
      },
    );
    return { secret, expiresAt: expiresAt.getTime(), trust: trust.name };
  });
}

function isMeant(trust: TrustRow, { issuer, audiences, subject }: WorkloadClaims): boolean {
  return (
    trust.issuer === issuer &&
    audiences.includes(trust.audience) &&
    matchesPattern(trust.subject, subject)
  );
}

function readTrust({ trust }: SetTrustRequest, issuers: WorkloadIssuers | undefined): TrustRow {
  if (!trust) throw new PogoError("usage", "no trust is given");
  const { name, issuer, audience, subject, scope, readsSecrets } = trust;
  checkUserName(name);
  if (scope !== "read" && scope !== "write") {
    throw new PogoError("usage", "whoever is trusted may read, or read and write, and no more");
  }
  for (const text of [issuer, audience, subject]) {
    checkText(text);
    if (text === "" || Buffer.byteLength(text) > trustTextBytesMax) {
      throw new PogoError("usage", "a trust names an issuer, an audience and a subject");
    }
  }
  if (/^\**$/.test(subject)) {
    throw new PogoError("usage", "that would trust everybody whom the issuer knows", {
      hint: "write the subject as the issuer does, as in repo:acme/game:*",
    });
  }
  if (!issuers?.has(issuer)) {
    throw new PogoError("denied", `this server does not believe ${issuer}`, {
      hint: "whoever runs the server may: pogo serve --workload-issuers URL",
    });
  }
  return { name, issuer, audience, subject, scope, readsSecrets };
}

async function ensureActor(tx: Queries, name: string, repositoryName: string): Promise<UserRow> {
  const actor = actorOf(name, repositoryName);
  const created = await createUser(tx, { name: actor, isDeploy: true });
  const user = created ?? (await findUser(tx, actor));
  if (!user) throw new Error(`user ${actor} is neither new nor known`);
  return user;
}

function notTrusted(): PogoError {
  return new PogoError("denied", "the token is not one that the repository trusts", {
    hint: "whoever administers it says whom: pogo repo trust REPO NAME",
  });
}
