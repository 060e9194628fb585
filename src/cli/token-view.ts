import type { Token } from "#gen/pogo/v1/auth.ts";

/** A token as programs get it: times in ISO 8601, null for what is not. */
export function tokenJson({ name, createdAt, lastUsedAt, expiresAt }: Token) {
  return {
    name,
    createdAt: time(createdAt),
    lastUsedAt: time(lastUsedAt),
    expiresAt: time(expiresAt),
  };
}

/** The day of a time, or what stands for none. */
export function dayText(milliseconds: number, none: string): string {
  return time(milliseconds)?.slice(0, 10) ?? none;
}

function time(milliseconds: number): string | null {
  return milliseconds === 0 ? null : new Date(milliseconds).toISOString();
}
