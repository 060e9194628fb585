/** Options that say where a server's data is. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

import { PogoError } from "#core/errors.ts";
import type { Context, Environment } from "./context.ts";

export const storageArgs = {
  data: {
    type: "string",
    valueHint: "DIR",
    description: "database and objects; ~/.local/share/pogo unless said otherwise",
  },
  database: {
    type: "string",
    valueHint: "URL",
    description: "a PostgreSQL instead of the embedded one; also DATABASE_URL",
  },
  objects: {
    type: "string",
    valueHint: "WHERE",
    description: "objects, if not below --data: DIR, several as DIR,DIR, or s3://BUCKET/PREFIX",
  },
  keys: {
    type: "string",
    valueHint: "FILE",
    description:
      "keys that objects and secrets are encrypted with, the newest first; also POGO_KEYS",
  },
} as const;

/** Reads the options as the server takes them. */
export async function readStorage(
  { cwd, environment }: Context,
  args: { [key in keyof typeof storageArgs]?: string | undefined },
) {
  return {
    dataDirectory: resolve(cwd, args.data ?? defaultData(environment)),
    databaseUrl: args.database ?? (environment["DATABASE_URL"] || undefined),
    objects: args.objects,
    environment,
    keys: await readKeys(
      args.keys === undefined ? undefined : resolve(cwd, args.keys),
      environment,
    ),
  };
}

function defaultData(environment: Environment): string {
  return join(environment["XDG_DATA_HOME"] || join(homedir(), ".local", "share"), "pogo");
}

async function readKeys(
  path: string | undefined,
  environment: Environment,
): Promise<string | undefined> {
  if (path === undefined) return environment["POGO_KEYS"] || undefined;
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new PogoError("usage", `the keys in ${path} cannot be read`, { cause });
  }
}
