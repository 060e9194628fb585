/** Rules for bookmarks, by patterns of their names. */
import { matchesPattern } from "#core/bookmark-pattern.ts";
import { includesRole, type Role } from "#core/role.ts";
import type { Queries } from "./connect.ts";

export type RuleRow = {
  pattern: string;
  /** The least that whoever creates, moves or deletes one must be. */
  role: Role;
  forwardOnly: boolean;
  neverDeleted: boolean;
  immutable: boolean;
  described: boolean;
};

/** Lists the rules of a repository by pattern. */
export async function listRules(sql: Queries, repositoryId: number): Promise<RuleRow[]> {
  return await sql<RuleRow[]>`
    select pattern, role, forward_only, never_deleted, immutable, described
    from bookmark_rules where repository_id = ${repositoryId}
    order by pattern`;
}

/** Makes a rule, in the place of the one of the same pattern. */
export async function setRule(tx: Queries, repositoryId: number, rule: RuleRow): Promise<void> {
  const { pattern, role, forwardOnly, neverDeleted, immutable, described } = rule;
  await tx`
    insert into bookmark_rules (repository_id, pattern, role, forward_only, never_deleted,
      immutable, described)
    values (${repositoryId}, ${pattern}, ${role}, ${forwardOnly}, ${neverDeleted}, ${immutable},
      ${described})
    on conflict (repository_id, pattern) do update set role = excluded.role,
      forward_only = excluded.forward_only, never_deleted = excluded.never_deleted,
      immutable = excluded.immutable, described = excluded.described`;
}

/** Removes the rule of a pattern. */
export async function removeRule(
  tx: Queries,
  repositoryId: number,
  pattern: string,
): Promise<void> {
  await tx`
    delete from bookmark_rules where repository_id = ${repositoryId} and pattern = ${pattern}`;
}

/** All that holds for a bookmark, as one rule; nothing when none does. */
export function ruleFor(rules: readonly RuleRow[], bookmark: string): RuleRow | undefined {
  const matching = rules.filter(({ pattern }) => matchesPattern(pattern, bookmark));
  return matching.reduce<RuleRow | undefined>((sum, rule) => {
    if (!sum) return rule;
    return {
      pattern: sum.pattern,
      role: includesRole(sum.role, rule.role) ? sum.role : rule.role,
      forwardOnly: sum.forwardOnly || rule.forwardOnly,
      neverDeleted: sum.neverDeleted || rule.neverDeleted,
      immutable: sum.immutable || rule.immutable,
      described: sum.described || rule.described,
    };
  }, undefined);
}
