/** Logins that wait for somebody to confirm them elsewhere, and the users that come of them. */
import type { Queries } from "./connect.ts";

/** Keeps a login until it is finished; says no when too many wait already. */
export async function insertSsoLogin(
  tx: Queries,
  login: { hash: Uint8Array; deviceCode: string; expiresAt: Date; most: number },
): Promise<boolean> {
  await tx`delete from sso_logins where expires_at < now()`;
  const rows = await tx`
    insert into sso_logins (hash, device_code, expires_at)
    select ${login.hash}, ${login.deviceCode}, ${login.expiresAt}
    where (select count(*) from sso_logins) < ${login.most}
    returning 1`;
  return rows.length > 0;
}

/** Finds a login that waits. */
export async function findSsoLogin(
  sql: Queries,
  hash: Uint8Array,
): Promise<{ deviceCode: string } | undefined> {
  const [row] = await sql<{ deviceCode: string }[]>`
    select device_code from sso_logins where hash = ${hash} and expires_at > now()`;
  return row;
}

/** Ends a login; says no when another call did. */
export async function deleteSsoLogin(tx: Queries, hash: Uint8Array): Promise<boolean> {
  const rows = await tx`delete from sso_logins where hash = ${hash} returning 1`;
  return rows.length > 0;
}

/**
 * Finds the user whom a provider means, creating one of that name if need be; nothing when the
 * name is somebody else's. A user keeps the name, whatever the provider calls the person later.
 */
export async function ensureSsoUser(
  tx: Queries,
  { subject, name }: { subject: string; name: string },
): Promise<{ userId: number; name: string } | undefined> {
  const find = () => tx<{ userId: number; name: string }[]>`
    select user_id, name from users where subject = ${subject}`;
  const [known] = await find();
  if (known) return known;
  await tx`
    insert into users (name, subject) values (${name}, ${subject}) on conflict do nothing`;
  return (await find())[0];
}
