/** How users, members and groups look. */
import type { Group } from "#gen/pogo/v1/group.ts";
import type { Member } from "#gen/pogo/v1/member.ts";
import type { User } from "#gen/pogo/v1/user.ts";

/** A user for programs. */
export function userJson(user: User | undefined) {
  if (!user) return {};
  const { name, admin, disabled, createdAt } = user;
  return { name, admin, disabled, createdAt: new Date(createdAt).toISOString() };
}

/** A member of a repository for programs. */
export function memberJson({ name, group, role }: Member) {
  return { name, kind: group ? "group" : "user", role };
}

/** A group for programs. */
export function groupJson(group: Group | undefined) {
  if (!group) return {};
  const { name, members, createdAt } = group;
  return { name, members, createdAt: new Date(createdAt).toISOString() };
}

/** Width of a column of names. */
export function nameWidth(rows: readonly { name: string }[]): number {
  return Math.max(0, ...rows.map(({ name }) => name.length));
}
