import type { Token } from "#gen/pogo/v1/auth.ts";

/** A token as programs get it: times in ISO 8601, null for what is not. */
export function tokenJson(token: Token) {
  const { name, scope, repository, readsSecrets, createdAt, lastUsedAt, expiresAt } = token;
  return {
    name,
    scope,
    repository: repository || null,
    readsSecrets,
    createdAt: time(createdAt),
    lastUsedAt: time(lastUsedAt),
    expiresAt: time(expiresAt),
  };
}

/** What a token is limited to, in words; nothing for one that is not. */
export function limitText({ scope, repository, readsSecrets }: Token): string {
  const limits = [
    scope !== "admin" && `may ${scope}`,
    repository && `only ${repository}`,
    readsSecrets && "and its secrets",
  ];
  return limits.filter(Boolean).join(", ");
}

/** The day of a time, or what stands for none. */
export function dayText(milliseconds: number, none: string): string {
  return time(milliseconds)?.slice(0, 10) ?? none;
}

function time(milliseconds: number): string | null {
  return milliseconds === 0 ? null : new Date(milliseconds).toISOString();
}
