/** The token for a server. */

export type Credentials = { token: string | undefined; allowInsecure: boolean };

/** Finds the token for a server: POGO_TOKEN. */
export async function findToken({
  environment,
}: {
  server: string;
  environment: Readonly<Record<string, string | undefined>>;
}): Promise<Credentials> {
  return { token: environment["POGO_TOKEN"], allowInsecure: false };
}
