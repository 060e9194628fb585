import { checkRole } from "#core/role.ts";
import { RuleServiceService as Rules } from "#gen/pogo/v1/rule.ts";
import { command } from "../../command.ts";
import { ruleJson, ruleText } from "../../rule-view.ts";
import { openRepository } from "../../server-choice.ts";

export const bookmarkProtect = command({
  meta: {
    description:
      "make a rule for bookmarks: unless told otherwise, that they move forward only and stay",
    examples: [
      "pogo bookmark protect main --role maintain",
      'pogo bookmark protect "v*" --immutable',
    ],
  },
  args: {
    pattern: {
      type: "positional",
      required: true,
      description: 'a bookmark, or several: "*" is any text',
    },
    role: { type: "string", description: "only who has this role moves them (write)" },
    forwardOnly: { type: "boolean", description: "they move to what stands on where they are" },
    neverDeleted: { type: "boolean", description: "they are never deleted" },
    immutable: { type: "boolean", description: "they are never moved nor deleted, once made" },
    described: { type: "boolean", description: "what they point at has a description" },
  },
  async run({ args, context }) {
    const { pattern } = args;
    const [forwardOnly, neverDeleted, immutable, described] = [
      args.forwardOnly === true,
      args.neverDeleted === true,
      args.immutable === true,
      args.described === true,
    ];
    const isPlain = !forwardOnly && !neverDeleted && !immutable && !described;
    const rule = {
      pattern,
      role: checkRole(args.role ?? "write"),
      forwardOnly: forwardOnly || isPlain,
      neverDeleted: neverDeleted || isPlain,
      immutable,
      described,
    };
    using opened = await openRepository(context);
    const { channel, repository } = opened;
    await channel.unary(Rules.setRule, { repository, rule }, { signal: context.signal });
    context.report(ruleJson(rule), ({ green }) => `${green(pattern)}: ${ruleText(rule)}`);
  },
});
