import { checkBookmarkPattern } from "#core/bookmark-pattern.ts";
import { PogoError } from "#core/errors.ts";
import { rulesMax } from "#core/limits.ts";
import { checkRole, includesRole } from "#core/role.ts";
import type {
  ListRulesRequest,
  ListRulesResponse,
  RemoveRuleRequest,
  RemoveRuleResponse,
  RuleServiceServer,
  SetRuleRequest,
  SetRuleResponse,
} from "#gen/pogo/v1/rule.ts";
import { audit } from "../access/audit.ts";
import { requireMaintain, requireRead, type Caller } from "../auth.ts";
import {
  listRules as listInDatabase,
  removeRule as removeInDatabase,
  setRule as setInDatabase,
  type RuleRow,
} from "../db/bookmark-rules.ts";
import { transaction } from "../db/connect.ts";
import { lockRepository } from "../db/members.ts";
import type { CallHandlers, Parts } from "./calls.ts";

/** Makes the service. */
export function ruleService(parts: Parts, { unary }: CallHandlers): RuleServiceServer {
  return {
    setRule: unary((request: SetRuleRequest, caller) => setRule(parts, request, caller)),
    listRules: unary((request: ListRulesRequest, caller) => listRules(parts, request, caller)),
    removeRule: unary((request: RemoveRuleRequest, caller) => removeRule(parts, request, caller)),
  };
}

/** Makes a rule, in the place of the one of the same pattern. */
export async function setRule(
  { sql }: Parts,
  request: SetRuleRequest,
  caller: Caller | undefined,
): Promise<SetRuleResponse> {
  const { repository, caller: user } = await requireMaintain(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  const rule = readRule(request);
  await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    const rules = await listInDatabase(tx, repositoryId);
    const before = rules.find(({ pattern }) => pattern === rule.pattern);
    for (const { role } of before ? [before, rule] : [rule]) requireOwnRole(user, role);
    if (!before && rules.length >= rulesMax) {
      throw new PogoError("usage", `${repositoryName} has ${rulesMax} rules, which is the most`);
    }
    await setInDatabase(tx, repositoryId, rule);
    await audit(tx, user, { repositoryName, details: { rule, before: before ?? null } });
  });
  return { rule };
}

/** Lists the rules of a repository. */
export async function listRules(
  { sql }: Parts,
  request: ListRulesRequest,
  caller: Caller | undefined,
): Promise<ListRulesResponse> {
  const { repositoryId } = await requireRead(sql, caller, request.repository);
  return { rules: await listInDatabase(sql, repositoryId) };
}

/** Removes a rule. */
export async function removeRule(
  { sql }: Parts,
  request: RemoveRuleRequest,
  caller: Caller | undefined,
): Promise<RemoveRuleResponse> {
  const { repository, caller: user } = await requireMaintain(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  const rule = await transaction(sql, async (tx) => {
    await lockRepository(tx, repositoryId);
    const rules = await listInDatabase(tx, repositoryId);
    const found = rules.find(({ pattern }) => pattern === request.pattern);
    if (!found) {
      throw new PogoError("not-found", `no rule is for ${JSON.stringify(request.pattern)}`, {
        hint: "see what there is: pogo bookmark rules",
      });
    }
    requireOwnRole(user, found.role);
    await removeInDatabase(tx, repositoryId, found.pattern);
    await audit(tx, user, { repositoryName, details: { before: found } });
    return found;
  });
  return { rule };
}

function readRule({ rule }: SetRuleRequest): RuleRow {
  if (!rule) throw new PogoError("usage", "no rule is given");
  checkBookmarkPattern(rule.pattern);
  return { ...rule, role: checkRole(rule.role) };
}

/** Who could not move a bookmark cannot lift what keeps it from being moved. */
function requireOwnRole({ userName, role }: Caller, needed: RuleRow["role"]): void {
  if (includesRole(role, needed)) return;
  throw new PogoError("denied", `${userName} may not decide what needs the role ${needed}`);
}
