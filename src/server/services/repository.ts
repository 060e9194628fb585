import { PogoError } from "#core/errors.ts";
import { pageMax } from "#core/limits.ts";
import { checkRepositoryName } from "#core/name.ts";
import { includesRole } from "#core/role.ts";
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
  SetVisibilityRequest,
  SetVisibilityResponse,
} from "#gen/pogo/v1/repository.ts";
import { audit } from "../access/audit.ts";
import { reachOf, requireAdmin, requireRead, requireUser, type Caller } from "../auth.ts";
import { transaction } from "../db/connect.ts";
import { openMutation } from "../db/mutation.ts";
import {
  allowCaseCollisions as allowInDatabase,
  createRepository as createInDatabase,
  findRepository,
  listRepositories as listInDatabase,
  setVisibility as setInDatabase,
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
    setVisibility: unary((request: SetVisibilityRequest, caller) =>
      setVisibility(parts, request, caller),
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
    const creator = { ...user, role: "admin" as const };
    const mutation = openMutation(tx, created.repositoryId);
    await mutation.record({ requestId, caller: creator, kind, details });
    return created;
  });
  if (row) return { repository: toMessage(row) };
  const existing = await findRepository(sql, name, reachOf(user));
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
  const query = { reach: reachOf(caller), after, limit: pageMax + 1 };
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

/** Lets anyone read a repository, or only its members. */
export async function setVisibility(
  { sql }: Parts,
  request: SetVisibilityRequest,
  caller: Caller | undefined,
): Promise<SetVisibilityResponse> {
  const { repository, caller: user } = await requireAdmin(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  await transaction(sql, async (tx) => {
    if (!(await setInDatabase(tx, repositoryId, request.public))) return;
    await audit(tx, user, { repositoryName, details: { public: request.public } });
  });
  return { repository: toMessage({ ...repository, public: request.public }) };
}

function toMessage(row: RepositoryRow): Repository {
  return {
    name: row.name,
    public: row.public,
    createdAt: row.createdAt.getTime(),
    writable: includesRole(row.role, "write"),
    caseSensitive: row.caseSensitive,
    role: row.role ?? "",
  };
}
