import { command } from "../command.ts";
import { openEditSession } from "../edit-session.ts";
import { publish, pushJson, pushText, repairText } from "../push-view.ts";
import { conflictHints } from "../rewriting-view.ts";

export const push = command({
  meta: {
    description: "publish the working copy as a new version of its change",
    examples: ["pogo push", 'pogo push -m "parser: accept empty lists"', "pogo push --rewrite"],
  },
  args: {
    message: { type: "string", alias: "m", valueHint: "TEXT", description: "describe the change" },
    includeIgnored: {
      type: "boolean",
      description: "publish what .gitignore and .pogoignore ignore, too",
    },
    rewrite: {
      type: "boolean",
      description:
        "change a sealed change itself, not a new child; what stands on it follows " +
        "(another author's only while no bookmark points at it)",
    },
    caseSensitive: {
      type: "boolean",
      description: "let the repository hold names that differ in case alone",
    },
    repair: {
      type: "boolean",
      description: "send what the server has lost of these files since it had them, too",
    },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    if (args.caseSensitive) await session.allowCaseCollisions();
    const result = await publish(session, context, {
      description: args.message,
      includeIgnored: args.includeIgnored === true,
      rewrite: args.rewrite === true,
      repair: args.repair === true,
    });
    context.report(pushJson(result, session.current), (style) => {
      const text = repairText(result) + pushText(result, session.current, style);
      const { rewriting } = result;
      if (!rewriting) return text;
      return [text, ...conflictHints(rewriting, session.current.name)].join("\n");
    });
  },
});
