import { join, resolve } from "node:path";

import { databaseCloseSeconds } from "#core/limits.ts";
import { connect, type Sql } from "./connect.ts";

/** Opens the database at a URL, or the embedded one of a data directory; closed with the rest. */
export async function openDatabase(
  { databaseUrl, dataDirectory }: { databaseUrl?: string | undefined; dataDirectory: string },
  opening: AsyncDisposableStack,
): Promise<Sql> {
  if (databaseUrl !== undefined) return closing(connect(databaseUrl), opening);
  // Its program is large, and a server with a database of its own needs none of it.
  const { openEmbedded } = await import("./embedded.ts");
  const embedded = opening.use(await openEmbedded(join(resolve(dataDirectory), "postgres")));
  return closing(connect(embedded.options), opening);
}

function closing(sql: Sql, opening: AsyncDisposableStack): Sql {
  opening.defer(() => sql.end({ timeout: databaseCloseSeconds }));
  return sql;
}
