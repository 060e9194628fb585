import { randomBytes } from "node:crypto";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";

import { frameBytes } from "#core/limits.ts";
import { readMoment } from "../db/dump.ts";
import type { Sql } from "../db/connect.ts";
import { encodeHead, encodeRows } from "./format.ts";

/**
 * Takes a snapshot, and yields it in pieces. It goes through a file, so that no transaction waits
 * for the network: the embedded database would answer nobody else meanwhile.
 */
export async function* spoolSnapshot(
  { sql, directory }: { sql: Sql; directory: string },
  pieceBytes = frameBytes,
): AsyncGenerator<Uint8Array> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `snapshot-${randomBytes(8).toString("hex")}`);
  await using closing = new AsyncDisposableStack();
  closing.defer(() => rm(path, { force: true }));
  const file = closing.use(await open(path, "wx+", 0o600));
  // Where a file may go before it is closed, a server that is killed leaves nothing behind.
  if (process.platform !== "win32") await rm(path);
  await readMoment(sql, async (moment, tables) => {
    await file.writeFile(await encodeHead(moment));
    for await (const rows of tables) await file.writeFile(await encodeRows(rows));
  });
  for (let offset = 0; ;) {
    const piece = new Uint8Array(pieceBytes);
    const { bytesRead } = await file.read(piece, 0, piece.length, offset);
    if (bytesRead === 0) return;
    yield piece.subarray(0, bytesRead);
    offset += bytesRead;
  }
}
