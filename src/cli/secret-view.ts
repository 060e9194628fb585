import type { Secret } from "#gen/pogo/v1/secret.ts";

/** A secret for programs: never what it is. */
export function secretJson(secret: Secret | undefined) {
  if (!secret) return {};
  const { name, setBy, setAt } = secret;
  return { name, setBy, setAt: new Date(setAt).toISOString() };
}
