import { PogoError } from "#core/errors.ts";
import { pageMax } from "#core/limits.ts";
import { checkRepositoryName } from "#core/name.ts";
import type {
  AllowCaseCollisionsRequest,
  AllowCaseCollisionsResponse,
  CreateRepositoryRequest,
  CreateRepositoryResponse,
  GetRepositoryRequest,
  GetRepositoryResponse,
  ListRepositoriesRequest,
  ListRepositoriesResponse,
  Repository,
  RepositoryServiceServer,
} from "#gen/pogo/v1/repository.ts";
import { requireAdmin, requireRead, requireUser, type Caller } from "../auth.ts";
import { transaction } from "../db/connect.ts";
import { openMutation } from "../db/mutation.ts";
import {
  allowCaseCollisions as allowInDatabase,
  createRepository as createInDatabase,
  findRepository,
  listRepositories as listInDatabase,
  type RepositoryRow,
} from "../db/repositories.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { checkRequestId, checkText, recallOperation } from "./requests.ts";

/** Makes the service. */
export function repositoryService(parts: Parts, { unary }: CallHandlers): RepositoryServiceServer {
  return {
    createRepository: unary((request: CreateRepositoryRequest, caller) =>
      createRepository(parts, request, caller),
    ),
    getRepository: unary((request: GetRepositoryRequest, caller) =>
      getRepository(parts, request, caller),
    ),
    listRepositories: unary((request: ListRepositoriesRequest, caller) =>
      listRepositories(parts, request, caller),
    ),
    allowCaseCollisions: unary((request: AllowCaseCollisionsRequest, caller) =>
      allowCaseCollisions(parts, request, caller),
    ),
  };
}

/** Creates an empty repository that the caller can write. */
export async function createRepository(
  { sql }: Parts,
  request: CreateRepositoryRequest,
  caller: Caller | undefined,
): Promise<CreateRepositoryResponse> {
  const user = requireUser(caller);
  const { name, public: isPublic, caseSensitive } = request;
  checkRepositoryName(name);
  const requestId = checkRequestId(request.requestId);
  const kind = "create-repository";
  const row = await transaction(sql, async (tx) => {
    const creatorId = user.userId;
    const created = await createInDatabase(tx, {
      name,
      public: isPublic,
      caseSensitive,
      creatorId,
    });
    if (!created) return undefined;
    const details = { name, public: isPublic, caseSensitive };
    await openMutation(tx, created.repositoryId).record({ requestId, caller: user, kind, details });
    return created;
  });
  if (row) return { repository: toMessage(row) };
  const existing = await findRepository(sql, name, user.userId);
  if (existing?.role === "admin") {
    const { repositoryId } = existing;
    const request = { repositoryId, requestId, caller: user, kind } as const;
    if (await recallOperation(sql, request)) return { repository: toMessage(existing) };
  }
  throw new PogoError("already-exists", `there is a repository named ${name} already`, {
    hint: "choose another name with --name",
  });
}

/** Tells of one repository. */
export async function getRepository(
  { sql }: Parts,
  request: GetRepositoryRequest,
  caller: Caller | undefined,
): Promise<GetRepositoryResponse> {
  return { repository: toMessage(await requireRead(sql, caller, request.name)) };
}

/** Lists what the caller may read; for nobody, what is public. */
export async function listRepositories(
  { sql }: Parts,
  request: ListRepositoriesRequest,
  caller: Caller | undefined,
): Promise<ListRepositoriesResponse> {
  const { after } = request;
  checkText(after);
  const query = { userId: caller?.userId, after, limit: pageMax + 1 };
  const rows = await listInDatabase(sql, query);
  const repositories = rows.slice(0, pageMax).map(toMessage);
  return { repositories, more: rows.length > pageMax };
}

/** Lets directories hold names that differ in case alone. */
export async function allowCaseCollisions(
  { sql }: Parts,
  request: AllowCaseCollisionsRequest,
  caller: Caller | undefined,
): Promise<AllowCaseCollisionsResponse> {
  const { repository, caller: user } = await requireAdmin(sql, caller, request.repository);
  const requestId = checkRequestId(request.requestId);
  const { repositoryId } = repository;
  const kind = "allow-case-collisions";
  await transaction(sql, async (tx) => {
    if (await recallOperation(tx, { repositoryId, requestId, caller: user, kind })) return;
    if (!(await allowInDatabase(tx, repositoryId))) return;
    await openMutation(tx, repositoryId).record({ requestId, caller: user, kind, details: {} });
  });
  return { repository: toMessage({ ...repository, caseSensitive: true }) };
}

function toMessage(row: RepositoryRow): Repository {
  return {
    name: row.name,
    public: row.public,
    createdAt: row.createdAt.getTime(),
    writable: row.role === "write" || row.role === "admin",
    caseSensitive: row.caseSensitive,
  };
}
