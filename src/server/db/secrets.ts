/** Secrets of repositories, sealed: this file sees no value. */
import type { SealedSecret } from "../sealing.ts";
import type { Queries } from "./connect.ts";

export type SecretRow = { name: string; setBy: string; setAt: Date };

/** Lists the secrets of a repository by name. */
export async function listSecrets(sql: Queries, repositoryId: number): Promise<SecretRow[]> {
  return await sql<SecretRow[]>`
    select s.name, u.name as set_by, s.set_at
    from secrets s join users u on u.user_id = s.set_by
    where s.repository_id = ${repositoryId}
    order by s.name`;
}

/** Finds a secret. */
export async function findSecret(
  sql: Queries,
  repositoryId: number,
  name: string,
): Promise<SealedSecret | undefined> {
  const [row] = await sql<SealedSecret[]>`
    select repository_id, name, key_number, sealed
    from secrets where repository_id = ${repositoryId} and name = ${name}`;
  return row;
}

/** Keeps a secret, in the place of the one of the same name; says when. */
export async function putSecret(tx: Queries, secret: SealedSecret, userId: number): Promise<Date> {
  const { repositoryId, name, keyNumber, sealed } = secret;
  const [row] = await tx<{ setAt: Date }[]>`
    insert into secrets (repository_id, name, key_number, sealed, set_by)
    values (${repositoryId}, ${name}, ${keyNumber}, ${sealed}, ${userId})
    on conflict (repository_id, name) do update set key_number = excluded.key_number,
      sealed = excluded.sealed, set_by = excluded.set_by, set_at = excluded.set_at
    returning set_at`;
  return row!.setAt;
}

/** Removes a secret. */
export async function removeSecret(tx: Queries, repositoryId: number, name: string): Promise<void> {
  await tx`delete from secrets where repository_id = ${repositoryId} and name = ${name}`;
}
