import { PogoError } from "#core/errors.ts";
import { secretsMax } from "#core/limits.ts";
import { checkSecretName, checkSecretValue } from "#core/secret.ts";
import type {
  GetSecretRequest,
  GetSecretResponse,
  ListSecretsRequest,
  ListSecretsResponse,
  RemoveSecretRequest,
  RemoveSecretResponse,
  Secret,
  SecretServiceServer,
  SetSecretRequest,
  SetSecretResponse,
} from "#gen/pogo/v1/secret.ts";
import { audit } from "../access/audit.ts";
import { requireMaintain, requireSecrets, type Caller } from "../auth.ts";
import { transaction } from "../db/connect.ts";
import { lockRepository } from "../db/members.ts";
import {
  findSecret,
  listSecrets as listInDatabase,
  putSecret,
  removeSecret as removeInDatabase,
  type SecretRow,
} from "../db/secrets.ts";
import { sealSecret, unsealSecret } from "../sealing.ts";
import type { CallHandlers, Parts } from "./calls.ts";

/** Makes the service. */
export function secretService(parts: Parts, { unary }: CallHandlers): SecretServiceServer {
  return {
    setSecret: unary((request: SetSecretRequest, caller) => setSecret(parts, request, caller)),
    listSecrets: unary((request: ListSecretsRequest, caller) =>
      listSecrets(parts, request, caller),
    ),
    getSecret: unary((request: GetSecretRequest, caller) => getSecret(parts, request, caller)),
    removeSecret: unary((request: RemoveSecretRequest, caller) =>
      removeSecret(parts, request, caller),
    ),
  };
}

/** Keeps a secret. */
export async function setSecret(
  { sql, dataKeys }: Parts,
  request: SetSecretRequest,
  caller: Caller | undefined,
): Promise<SetSecretResponse> {
  const { repository, caller: user } = await requireMaintain(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  const { name, value } = request;
  checkSecretName(name);
  checkSecretValue(value);
  const sealed = sealSecret(dataKeys, { repositoryId, name }, value);
  return await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    const secrets = await listInDatabase(tx, repositoryId);
    const replaced = secrets.some((secret) => secret.name === name);
    if (!replaced && secrets.length >= secretsMax) {
      throw new PogoError(
        "usage",
        `${repositoryName} has ${secretsMax} secrets, which is the most`,
      );
    }
    const setAt = await putSecret(tx, sealed, user.userId);
    await audit(tx, user, { repositoryName, details: { secret: name, replaced } });
    return { secret: secretMessage({ name, setBy: user.userName, setAt }), replaced };
  });
}

/** Lists the secrets of a repository, without what they are. */
export async function listSecrets(
  { sql }: Parts,
  request: ListSecretsRequest,
  caller: Caller | undefined,
): Promise<ListSecretsResponse> {
  const { repository } = await requireMaintain(sql, caller, request.repository);
  const rows = await listInDatabase(sql, repository.repositoryId);
  return { secrets: rows.map(secretMessage) };
}

/** Tells a secret. That it was told is noted before. */
export async function getSecret(
  { sql, dataKeys }: Parts,
  request: GetSecretRequest,
  caller: Caller | undefined,
): Promise<GetSecretResponse> {
  const { repository, caller: user } = await requireSecrets(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  const { name } = request;
  checkSecretName(name);
  const secret = await findSecret(sql, repositoryId, name);
  if (!secret) throw noSecret(name);
  const value = unsealSecret(dataKeys, secret);
  await transaction(sql, (tx) => audit(tx, user, { repositoryName, details: { secret: name } }));
  return { value };
}

/** Removes a secret. */
export async function removeSecret(
  { sql }: Parts,
  request: RemoveSecretRequest,
  caller: Caller | undefined,
): Promise<RemoveSecretResponse> {
  const { repository, caller: user } = await requireMaintain(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  const { name } = request;
  checkSecretName(name);
  return await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    const secrets = await listInDatabase(tx, repositoryId);
    const found = secrets.find((secret) => secret.name === name);
    if (!found) throw noSecret(name);
    await removeInDatabase(tx, repositoryId, name);
    await audit(tx, user, { repositoryName, details: { secret: name } });
    return { secret: secretMessage(found) };
  });
}

function secretMessage({ name, setBy, setAt }: SecretRow): Secret {
  return { name, setBy, setAt: setAt.getTime() };
}

function noSecret(name: string): PogoError {
  return new PogoError("not-found", `no secret is named ${name}`, {
    hint: "see what there is: pogo secret list",
  });
}
