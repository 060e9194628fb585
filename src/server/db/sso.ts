/** Logins that wait for somebody to confirm them elsewhere, and the users that come of them. */
import type { BrowserLogin } from "../sso/sso.ts";
import type { Queries } from "./connect.ts";

/** Keeps a login until it is finished; says no when too many wait already. */
export async function insertSsoLogin(
  tx: Queries,
  login: { hash: Uint8Array; expiresAt: Date; most: number } & (
    { deviceCode: string } | BrowserLogin
  ),
): Promise<boolean> {
  const { hash, expiresAt } = login;
  const isBrowsers = "verifier" in login;
  const deviceCode = isBrowsers ? null : login.deviceCode;
  const { redirectUri, state, nonce, verifier } = isBrowsers ? login : noBrowser;
  await tx`delete from sso_logins where expires_at < now()`;
  const rows = await tx`
    insert into sso_logins (hash, expires_at, device_code, redirect_uri, state, nonce, verifier)
    select ${hash}, ${expiresAt}, ${deviceCode}, ${redirectUri}, ${state}, ${nonce}, ${verifier}
    where (select count(*) from sso_logins) < ${login.most}
    returning 1`;
  return rows.length > 0;
}

const noBrowser = { redirectUri: null, state: null, nonce: null, verifier: null };

/** Finds a login whose code somebody may have confirmed. */
export async function findSsoLogin(
  sql: Queries,
  hash: Uint8Array,
): Promise<{ deviceCode: string } | undefined> {
  const [row] = await sql<{ deviceCode: string }[]>`
    select device_code from sso_logins
    where hash = ${hash} and expires_at > now() and device_code is not null`;
  return row;
}

/** Takes a login that a browser came back for: nobody else gets it, whatever comes of it. */
export async function takeBrowserLogin(
  sql: Queries,
  hash: Uint8Array,
): Promise<BrowserLogin | undefined> {
  const [row] = await sql<BrowserLogin[]>`
    delete from sso_logins
    where hash = ${hash} and expires_at > now() and device_code is null
    returning redirect_uri, state, nonce, verifier`;
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
