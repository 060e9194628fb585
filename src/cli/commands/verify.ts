import { PogoError } from "#core/errors.ts";
import { toHex } from "#core/hash.ts";
import { type Finding, StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import { command } from "../command.ts";
import { quoteName } from "../output.ts";
import { connectToServer } from "../server-choice.ts";

export const verify = command({
  meta: {
    description: "look whether a server has everything, and as it was",
    examples: [
      "pogo verify",
      "pogo verify --sample 1%",
      "pogo verify --full --repair --from s3://mirror https://pogo.example",
    ],
  },
  args: {
    server: { type: "positional", required: false, valueHint: "SERVER", description: "its URL" },
    full: { type: "boolean", description: "compute the SHA-256 of every object, too" },
    sample: {
      type: "string",
      valueHint: "SHARE",
      description: "only a random share of the objects, by their SHA-256: 1%",
    },
    repair: {
      type: "boolean",
      description: "put right what is damaged: from another volume, the cache, or --from",
    },
    from: {
      type: "string",
      valueHint: "WHERE",
      description: "with --repair: a mirror, a directory on the server's machine or a bucket",
    },
  },
  async run({ args, context }) {
    if (args.full && args.sample !== undefined) {
      throw new PogoError("usage", "--full and --sample exclude each other");
    }
    const { repair = false, from = "" } = args;
    if (from !== "" && !repair) throw new PogoError("usage", "--from goes with --repair");
    const share = args.sample === undefined ? Number(args.full === true) : readShare(args.sample);
    using connection = await connectToServer(context, args.server);
    const total = { trees: 0, objects: 0, bytes: 0 };
    const findings: Finding[] = [];
    {
      using line = context.progress("verifying");
      const { signal } = context;
      const request = { share, repair, from };
      const calls = connection.channel.serverStream(Storage.verify, request, { signal });
      for await (const { trees, objects, bytes, findings: found } of calls) {
        line.add({ files: trees + objects, bytes });
        total.trees += trees;
        total.objects += objects;
        total.bytes += bytes;
        findings.push(...found);
      }
    }
    const repaired = findings.filter((finding) => finding.repaired).length;
    const value = findings.map((finding) => ({ ...finding, hash: toHex(finding.hash) }));
    context.print({ ...total, repaired, findings: value }, () => {
      const lines = findings.flatMap(describe);
      const done = `verified ${total.trees} trees, ${total.objects} objects`;
      return [...lines, repair ? `${done}; repaired ${repaired}` : done].join("\n");
    });
    const left = findings.length - repaired;
    if (left === 0) return;
    const what =
      left === 1 ? "1 thing is not as it must be" : `${left} things are not as they must be`;
    throw new PogoError("corrupt", what, {
      hint: repair
        ? "pogo push --repair, in working copies that have the files; or restore a backup"
        : "pogo verify --repair; or pogo push --repair, in working copies that have the files",
    });
  },
});

function describe({ kind, hash, problem, repository, repaired, affected }: Finding): string[] {
  const where = repository === "" ? "" : ` in ${repository}`;
  const files = affected.map(({ repository: name, path, change, author }) => {
    return `  ${name}: ${quoteName(path)}, change ${change} by ${author}`;
  });
  const now = repaired ? " (repaired)" : "";
  return [`${kind} ${toHex(hash)}${where}: ${problem}${now}`, ...files];
}

function readShare(text: string): number {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  const share = Number(percent) / 100;
  if (percent !== undefined && share > 0 && share <= 1) return share;
  throw new PogoError("usage", `${JSON.stringify(text)} is not a share`, {
    hint: "write it as --sample 1%",
  });
}
