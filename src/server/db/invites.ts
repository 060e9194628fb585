/** Invites: each makes somebody a user, once. */
import type { Queries } from "./connect.ts";

/** Creates an invite. */
export async function createInvite(
  tx: Queries,
  invite: { hash: Uint8Array; userName: string; invitedBy: number; expiresAt: Date },
): Promise<void> {
  const { hash, userName, invitedBy, expiresAt } = invite;
  await tx`
    insert into invites (hash, user_name, invited_by, expires_at)
    values (${hash}, ${userName}, ${invitedBy}, ${expiresAt})`;
}

/**
 * Takes an invite that is good, so that it is good no more; says for whom it is. Of several at
 * once one gets it: the others wait for its row, and then find it taken.
 */
export async function takeInvite(tx: Queries, hash: Uint8Array): Promise<string | undefined> {
  const [row] = await tx<{ userName: string }[]>`
    update invites set redeemed_at = now()
    where hash = ${hash} and redeemed_at is null and expires_at > now()
    returning user_name`;
  return row?.userName;
}
