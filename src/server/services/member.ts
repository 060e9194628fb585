import { PogoError } from "#core/errors.ts";
import { checkRole } from "#core/role.ts";
import type {
  ListMembersRequest,
  ListMembersResponse,
  MemberServiceServer,
  RemoveMemberRequest,
  RemoveMemberResponse,
  SetMemberRequest,
  SetMemberResponse,
} from "#gen/pogo/v1/member.ts";
import { audit } from "../access/audit.ts";
import { requireAdmin, requireWrite, type Caller } from "../auth.ts";
import { transaction, type Queries } from "../db/connect.ts";
import {
  findRole,
  isAdministered,
  listMembers as listInDatabase,
  lockRepository,
  removeRole,
  setRole,
  type MemberId,
} from "../db/members.ts";
import type { RepositoryRow } from "../db/repositories.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { createDeployToken, listDeployTokens, revokeDeployToken } from "./deploy-token.ts";
import { findNamed } from "./group.ts";
import { findPerson } from "./user.ts";

/** Makes the service. */
export function memberService(parts: Parts, { unary }: CallHandlers): MemberServiceServer {
  return {
    setMember: unary((request: SetMemberRequest, caller) => setMember(parts, request, caller)),
    listMembers: unary((request: ListMembersRequest, caller) =>
      listMembers(parts, request, caller),
    ),
    removeMember: unary((request: RemoveMemberRequest, caller) =>
      removeMember(parts, request, caller),
    ),
    createDeployToken: unary((request, caller) => createDeployToken(parts, request, caller)),
    listDeployTokens: unary((request, caller) => listDeployTokens(parts, request, caller)),
    revokeDeployToken: unary((request, caller) => revokeDeployToken(parts, request, caller)),
  };
}

/** Gives a user or a group a role. */
export async function setMember(
  { sql }: Parts,
  request: SetMemberRequest,
  caller: Caller | undefined,
): Promise<SetMemberResponse> {
  const { repository, caller: user } = await requireAdmin(sql, caller, request.repository);
  const { name = "", group: isGroup = false, role: text = "" } = request.member ?? {};
  const role = checkRole(text);
  const { repositoryId, name: repositoryName } = repository;
  const previousRole = await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    const member = await findMember(tx, name, isGroup);
    const previous = await findRole(tx, repositoryId, member);
    if (previous === role) return previous;
    await setRole(tx, repositoryId, member, role);
    if (previous === "admin") await requireAdministered(tx, repository);
    const details = { [isGroup ? "group" : "user"]: name, role, previous: previous ?? "" };
    await audit(tx, user, { repositoryName, details });
    return previous;
  });
  return { previousRole: previousRole ?? "" };
}

/** Lists who was given a role. */
export async function listMembers(
  { sql }: Parts,
  request: ListMembersRequest,
  caller: Caller | undefined,
): Promise<ListMembersResponse> {
  const { repository } = await requireWrite(sql, caller, request.repository);
  const rows = await listInDatabase(sql, repository.repositoryId);
  return { members: rows.map(({ name, isGroup: group, role }) => ({ name, group, role })) };
}

/** Takes a role away. */
export async function removeMember(
  { sql }: Parts,
  request: RemoveMemberRequest,
  caller: Caller | undefined,
): Promise<RemoveMemberResponse> {
  const { repository, caller: user } = await requireAdmin(sql, caller, request.repository);
  const { name, group: isGroup } = request;
  const { repositoryId, name: repositoryName } = repository;
  const previousRole = await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    const member = await findMember(tx, name, isGroup);
    const previous = await findRole(tx, repositoryId, member);
    if (!previous) {
      const message = `${name} was given no role in ${repositoryName}`;
      throw new PogoError("not-found", message, {
        hint: `see who was: pogo member list ${repositoryName}`,
      });
    }
    await removeRole(tx, repositoryId, member);
    if (previous === "admin") await requireAdministered(tx, repository);
    const details = { [isGroup ? "group" : "user"]: name, previous };
    await audit(tx, user, { repositoryName, details });
    return previous;
  });
  return { previousRole };
}

async function findMember(tx: Queries, name: string, isGroup: boolean): Promise<MemberId> {
  if (isGroup) return { groupId: (await findNamed(tx, name)).groupId };
  return { userId: (await findPerson(tx, name)).userId };
}

/** Refuses to leave a repository to nobody. */
async function requireAdministered(tx: Queries, { repositoryId, name }: RepositoryRow) {
  if (await isAdministered(tx, repositoryId)) return;
  throw new PogoError("conflict", `nobody else administers ${name}`, {
    hint: `let somebody first: pogo member set ${name} USER admin`,
  });
}
