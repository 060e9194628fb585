import { verifyAudit } from "#client/audit.ts";
import { configDirectory } from "#client/config.ts";
import type { Link } from "#core/chain.ts";
import { PogoError } from "#core/errors.ts";
import { toHex } from "#core/hash.ts";
import { AuditServiceService as Audit, type AuditEvent } from "#gen/pogo/v1/audit.ts";
import { wholeNumber } from "../../arguments.ts";
import { count } from "../../change-view.ts";
import { command } from "../../command.ts";
import type { Style } from "../../output.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

const countDefault = 50;

export const adminAudit = command({
  meta: {
    description:
      "list who did what to users, members, tokens and rules, and who was refused; newest first",
    examples: [
      "pogo admin audit",
      "pogo admin audit --since 2026-01-31 --user ann --json",
      "pogo admin audit --verify",
    ],
  },
  args: {
    since: { type: "string", valueHint: "DATE", description: "nothing older, by UTC" },
    user: { type: "string", valueHint: "USER", description: "only what this user did" },
    limit: {
      type: "string",
      alias: "n",
      valueHint: "N",
      description: `at most N (${countDefault}; with --since, all)`,
    },
    verify: {
      type: "boolean",
      description: "instead compute all hashes again: nobody altered an event, or which one",
    },
    ...serverArgs,
  },
  async run({ args, context }) {
    const since = args.since === undefined ? 0 : readDate(args.since);
    const most = Number.MAX_SAFE_INTEGER;
    const fewest = args.since === undefined ? countDefault : 0;
    const limit = args.limit === undefined ? fewest : wholeNumber(args.limit, "--limit", 1, most);
    using connection = await connectToServer(context, args.server);
    const request = { since, user: args.user ?? "", limit: Math.min(limit, 2 ** 32 - 1) };
    const { signal } = context;
    if (args.verify) {
      const directory = configDirectory(context.environment);
      const { head, start } = await verifyAudit({ ...connection, directory }, { signal });
      context.print(verifiedJson(head, start), verifiedText(head, start));
      return;
    }
    const events: AuditEvent[] = [];
    for await (const page of connection.channel.serverStream(Audit.listAuditEvents, request, {
      signal,
    })) {
      events.push(...page.events);
    }
    context.print(events.map(eventJson), (style) => {
      return events.map((event) => eventText(event, style)).join("\n");
    });
  },
});

function verifiedJson(head: Link, start: Link) {
  const events = head.number - start.number;
  return { events, from: start.number + 1, to: head.number, hash: toHex(head.hash) };
}

function verifiedText(head: Link, start: Link): string {
  const text = `${count(head.number - start.number, "event")}, all as they were written`;
  return start.number === 0 ? text : `${text}; older ones, up to ${start.number}, are not kept`;
}

function readDate(text: string): number {
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new PogoError("usage", `${JSON.stringify(text)} is no date`, {
    hint: "write it as 2026-01-31, or as 2026-01-31T12:00:00Z",
  });
}

function eventJson({ createdAt, user, token, repository, details, hash, ...event }: AuditEvent) {
  return {
    ...event,
    createdAt: new Date(createdAt).toISOString(),
    user: user || null,
    token: token || null,
    repository: repository || null,
    details: JSON.parse(details) as unknown,
    hash: hash.toHex(),
  };
}

function eventText(event: AuditEvent, { green, red, dim }: Style): string {
  const { createdAt, user, token, address, action, repository, allowed, details } = event;
  const time = new Date(createdAt).toISOString().slice(0, 19).replace("T", " ");
  const who = `${green(user || "nobody")}${token ? ` by "${token}"` : ""} from ${address}`;
  const what = `${allowed ? action : red(`refused ${action}`)}${repository && ` on ${repository}`}`;
  return `${time}  ${who}  ${what}  ${dim(details)}`;
}
