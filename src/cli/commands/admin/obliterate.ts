import { findRoot, openWorkspace } from "#client/workspace.ts";
import { PogoError } from "#core/errors.ts";
import { toHex } from "#core/hash.ts";
import { type ObliterateResponse, StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import { command } from "../../command.ts";
import type { Context } from "../../context.ts";
import { quoteName } from "../../output.ts";
import { byteText } from "../../progress.ts";
import { askYes } from "../../prompt.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";
import { repositoryPath } from "../../working-copy.ts";

export const adminObliterate = command({
  meta: {
    description: "delete contents from all versions of all repositories, for good",
    examples: [
      "pogo admin obliterate config/secret.env --dry-run",
      'pogo admin obliterate config/secret.env --reason "a key that leaked"',
      'pogo admin obliterate 9f86d081…0f00a08 --reason "personal data"',
    ],
  },
  args: {
    what: {
      type: "positional",
      required: true,
      valueHint: "PATH|OBJECT",
      description: "all contents that a file has had, or one by its SHA-256",
    },
    reason: { type: "string", valueHint: "TEXT", description: "why: who misses it is told" },
    repository: {
      type: "string",
      valueHint: "NAME",
      description: "where PATH is, unless it is the working copy's",
    },
    dryRun: { type: "boolean", description: "only say which versions brought it" },
    yes: { type: "boolean", description: "do not ask" },
    ...serverArgs,
  },
  async run({ args, context }) {
    const { reason = "", dryRun = false } = args;
    if (!dryRun && reason === "") {
      throw new PogoError("usage", "a reason is missing", {
        hint: 'say why, for who misses it: --reason "a key that leaked"',
      });
    }
    const asked = { ...readWhat(context, args.what, args.repository), reason };
    using connection = await connectToServer(context, args.server);
    const call = (dryRun: boolean): Promise<ObliterateResponse> =>
      connection.channel.unary(
        Storage.obliterate,
        { ...asked, dryRun },
        { signal: context.signal },
      );
    const found = await call(true);
    if (dryRun) return context.print(jsonOf(found, false), () => describe(found).join("\n"));
    if (args.yes !== true) await confirm(context, found);
    const done = await call(false);
    context.report(jsonOf(done, true), () => {
      const what = done.contents.map(({ hash }) => toHex(hash)).join(", ");
      return `obliterated ${what}; working copies and backups that have it keep it`;
    });
  },
});

function readWhat(context: Context, what: string, repository: string | undefined) {
  if (/^[0-9a-f]{64}$/.test(what)) {
    return { repository: "", path: "", object: Uint8Array.fromHex(what) };
  }
  const object = new Uint8Array(0);
  if (repository !== undefined) return { repository, path: what, object };
  if (findRoot(context.cwd) === undefined) {
    throw new PogoError("usage", `${quoteName(what)} is a path: of which repository?`, {
      hint: "name it with --repository NAME",
    });
  }
  using workspace = openWorkspace(context.cwd);
  const path = repositoryPath(workspace, context.cwd, what);
  return { repository: workspace.state.binding.repository, path, object };
}

async function confirm(context: Context, found: ObliterateResponse): Promise<void> {
  if (!context.interactive) {
    throw new PogoError("usage", "it cannot be undone, and nobody is there to be asked", {
      hint: "look with --dry-run, then add --yes",
    });
  }
  context.note(`${describe(found).join("\n")}\n`);
  if (await askYes(context, "delete this for good?")) return;
  throw new PogoError("usage", "nothing was deleted");
}

function describe({ contents, versions, versionCount }: ObliterateResponse): string[] {
  const lines = contents.flatMap(({ hash, size }) => {
    const brought = versions.filter(({ object }) => toHex(object) === toHex(hash));
    const places = brought.map(({ repository, path, change, version }) => {
      return `  ${repository}: ${quoteName(path)}, change ${change}, version ${version}`;
    });
    return [`object ${toHex(hash)}, ${byteText(size)}`, ...places];
  });
  const left = versionCount - versions.length;
  return left > 0 ? [...lines, `and ${left} more versions`] : lines;
}

function jsonOf({ contents, versions, versionCount }: ObliterateResponse, obliterated: boolean) {
  return {
    obliterated,
    contents: contents.map(({ hash, size }) => ({ hash: toHex(hash), size })),
    versions: versions.map((version) => ({ ...version, object: toHex(version.object) })),
    versionCount,
  };
}
