import { RuleServiceService as Rules } from "#gen/pogo/v1/rule.ts";
import { command } from "../../command.ts";
import { ruleJson } from "../../rule-view.ts";
import { openRepository } from "../../server-choice.ts";

export const bookmarkUnprotect = command({
  meta: { description: "remove a rule for bookmarks" },
  args: {
    pattern: { type: "positional", required: true, description: "the rule's pattern" },
  },
  async run({ args, context }) {
    const { pattern } = args;
    using opened = await openRepository(context);
    const { channel, repository } = opened;
    const { signal } = context;
    const { rule } = await channel.unary(Rules.removeRule, { repository, pattern }, { signal });
    context.report(ruleJson(rule), ({ green }) => `removed the rule for ${green(pattern)}`);
  },
});
