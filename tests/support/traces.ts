/** What a server holds, counted, so that a test can tell that a refused call left nothing. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { openRemote } from "#client/remote.ts";
import { RepositoryServiceService as Repositories } from "#gen/pogo/v1/repository.ts";
import type { Channel } from "#rpc/channel.ts";
import { connect } from "#server/db/connect.ts";
import type { TestServer } from "./server.ts";

export type Traces = AsyncDisposable & {
  /** Rows of every table and files of the store; what users see, on the embedded database. */
  count(): Promise<Record<string, number>>;
};

const tables = [
  "users",
  "repositories",
  "repository_members",
  "objects",
  "repository_objects",
  "trees",
  "changes",
  "versions",
  "version_parents",
  "files",
  "bookmarks",
  "operations",
];

/** Watches a server through its database, or through the eyes of those whom the channels are of. */
export function watchTraces(server: TestServer, channels: readonly Channel[]): Traces {
  const { databaseUrl, dataDirectory } = server;
  const sql = databaseUrl === undefined ? undefined : connect(databaseUrl);
  const objects = join(dataDirectory, "objects");
  return {
    async count() {
      const counts: Record<string, number> = {};
      counts["files in the store"] = countFiles(objects);
      if (!sql) return { ...counts, ...(await visible(channels)) };
      for (const table of tables) {
        const [row] = await sql<{ count: number }[]>`select count(*)::int from ${sql(table)}`;
        counts[table] = row?.count ?? 0;
      }
      return counts;
    },
    async [Symbol.asyncDispose]() {
      await sql?.end();
    },
  };
}

async function visible(channels: readonly Channel[]): Promise<Record<string, number>> {
  const counts = { repositories: 0, versions: 0, changes: 0, bookmarks: 0 };
  for (const channel of channels) {
    const { repositories } = await channel.unary(Repositories.listRepositories, { after: "" });
    for (const { name } of repositories) {
      const remote = openRemote(channel, name);
      counts.repositories++;
      for await (const _ of remote.listBookmarks()) counts.bookmarks++;
      const query = { revisions: [], paths: [], limit: 100_000 };
      for await (const change of remote.listChanges(query)) {
        counts.changes++;
        counts.versions += change.currentVersion;
      }
    }
  }
  return counts;
}

function countFiles(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}
