/** What signs URLs of objects. */
import type { Queries } from "./connect.ts";

/** Reads the secret; the one that is offered becomes it if there is none yet. */
export async function ensureUrlSecret(tx: Queries, offered: Uint8Array): Promise<Uint8Array> {
  await tx`insert into url_secret (secret) values (${offered}) on conflict do nothing`;
  const [row] = await tx<{ secret: Uint8Array }[]>`select secret from url_secret`;
  if (!row) throw new Error("the secret that signs URLs is gone");
  return row.secret;
}
