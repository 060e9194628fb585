/** How a rule for bookmarks looks. */
import type { Rule } from "#gen/pogo/v1/rule.ts";

/** A rule for programs. */
export function ruleJson(rule: Rule | undefined) {
  if (!rule) return {};
  const { pattern, role, forwardOnly, neverDeleted, immutable, described } = rule;
  return { pattern, role, forwardOnly, neverDeleted, immutable, described };
}

/** What a rule says, in words. */
export function ruleText({ role, forwardOnly, neverDeleted, immutable, described }: Rule): string {
  const says = [
    `moved by who may ${role}`,
    immutable && "immutable",
    forwardOnly && "forward only",
    neverDeleted && "never deleted",
    described && "with a description",
  ];
  return says.filter(Boolean).join(", ");
}
