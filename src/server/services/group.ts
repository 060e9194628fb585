import { PogoError } from "#core/errors.ts";
import { answerBytes, pageMax } from "#core/limits.ts";
import { checkGroupName } from "#core/name.ts";
import {
  Group,
  type AddGroupMemberRequest,
  type AddGroupMemberResponse,
  type CreateGroupRequest,
  type CreateGroupResponse,
  type DeleteGroupRequest,
  type DeleteGroupResponse,
  type GroupServiceServer,
  type ListGroupsRequest,
  type ListGroupsResponse,
  type RemoveGroupMemberRequest,
  type RemoveGroupMemberResponse,
} from "#gen/pogo/v1/group.ts";
import { audit } from "../access/audit.ts";
import { requireUser, type Caller } from "../auth.ts";
import { transaction, type Queries } from "../db/connect.ts";
import {
  addToGroup,
  createGroup as createInDatabase,
  deleteGroup as deleteInDatabase,
  findGroup,
  listGroups as listInDatabase,
  removeFromGroup,
  type GroupRow,
} from "../db/groups.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { checkText } from "./requests.ts";
import { findPerson } from "./user.ts";

/** Makes the service. */
export function groupService(parts: Parts, { unary }: CallHandlers): GroupServiceServer {
  return {
    createGroup: unary((request: CreateGroupRequest, caller) =>
      createGroup(parts, request, caller),
    ),
    deleteGroup: unary((request: DeleteGroupRequest, caller) =>
      deleteGroup(parts, request, caller),
    ),
    listGroups: unary((request: ListGroupsRequest) => listGroups(parts, request)),
    addGroupMember: unary((request: AddGroupMemberRequest, caller) =>
      addGroupMember(parts, request, caller),
    ),
    removeGroupMember: unary((request: RemoveGroupMemberRequest, caller) =>
      removeGroupMember(parts, request, caller),
    ),
  };
}

/** Creates a group without members. */
export async function createGroup(
  { sql }: Parts,
  { name }: CreateGroupRequest,
  caller: Caller | undefined,
): Promise<CreateGroupResponse> {
  const user = requireUser(caller);
  checkGroupName(name);
  const group = await transaction(sql, async (tx) => {
    if (!(await createInDatabase(tx, name))) {
      throw new PogoError("already-exists", `there is a group named ${name} already`, {
        hint: "see what there is: pogo group list",
      });
    }
    await audit(tx, user, { details: { group: name } });
    return await findNamed(tx, name);
  });
  return { group: toMessage(group) };
}

/** Deletes a group; its members keep what they were given otherwise. */
export async function deleteGroup(
  { sql }: Parts,
  { name }: DeleteGroupRequest,
  caller: Caller | undefined,
): Promise<DeleteGroupResponse> {
  const user = requireUser(caller);
  const group = await transaction(sql, async (tx) => {
    const found = await findNamed(tx, name);
    await deleteInDatabase(tx, found.groupId);
    await audit(tx, user, { details: { group: name } });
    return found;
  });
  return { group: toMessage(group) };
}

/** Lists groups by name. */
export async function listGroups(
  { sql }: Parts,
  { after }: ListGroupsRequest,
): Promise<ListGroupsResponse> {
  checkText(after);
  const rows = await listInDatabase(sql, after, pageMax + 1);
  const groups: Group[] = [];
  let bytes = 0;
  for (const row of rows.slice(0, pageMax)) {
    const group = toMessage(row);
    groups.push(group);
    bytes += Group.encode(group).finish().length;
    if (bytes >= answerBytes) break;
  }
  return { groups, more: groups.length < rows.length };
}

/** Puts a user into a group. */
export async function addGroupMember(
  { sql }: Parts,
  request: AddGroupMemberRequest,
  caller: Caller | undefined,
): Promise<AddGroupMemberResponse> {
  const user = requireUser(caller);
  const group = await transaction(sql, async (tx) => {
    const { groupId } = await findNamed(tx, request.group);
    const { userId } = await findPerson(tx, request.user);
    const isNew = await addToGroup(tx, groupId, userId);
    const details = { group: request.group, user: request.user };
    if (isNew) await audit(tx, user, { details });
    return await findNamed(tx, request.group);
  });
  return { group: toMessage(group) };
}

/** Takes a user out of a group. */
export async function removeGroupMember(
  { sql }: Parts,
  request: RemoveGroupMemberRequest,
  caller: Caller | undefined,
): Promise<RemoveGroupMemberResponse> {
  const user = requireUser(caller);
  const group = await transaction(sql, async (tx) => {
    const { groupId } = await findNamed(tx, request.group);
    const { userId } = await findPerson(tx, request.user);
    const isNew = await removeFromGroup(tx, groupId, userId);
    const details = { group: request.group, user: request.user };
    if (isNew) await audit(tx, user, { details });
    return await findNamed(tx, request.group);
  });
  return { group: toMessage(group) };
}

/** Finds a group by name. */
export async function findNamed(sql: Queries, name: string): Promise<GroupRow> {
  checkText(name);
  const group = await findGroup(sql, name);
  if (group) return group;
  throw new PogoError("not-found", `no group is named ${JSON.stringify(name)}`, {
    hint: "see what there is: pogo group list",
  });
}

function toMessage({ name, members, createdAt }: GroupRow): Group {
  return { name, members, createdAt: createdAt.getTime() };
}
