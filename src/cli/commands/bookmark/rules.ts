import { RuleServiceService as Rules } from "#gen/pogo/v1/rule.ts";
import { command } from "../../command.ts";
import { ruleJson, ruleText } from "../../rule-view.ts";
import { openRepository } from "../../server-choice.ts";

export const bookmarkRules = command({
  meta: { description: "list the rules for bookmarks" },
  async run({ context }) {
    using opened = await openRepository(context);
    const { channel, repository } = opened;
    const { signal } = context;
    const { rules } = await channel.unary(Rules.listRules, { repository }, { signal });
    context.print(rules.map(ruleJson), ({ green }) => {
      const width = Math.max(0, ...rules.map(({ pattern }) => pattern.length));
      const lines = rules.map((rule) => {
        return `${green(rule.pattern.padEnd(width))}  ${ruleText(rule)}`;
      });
      return lines.join("\n");
    });
  },
});
