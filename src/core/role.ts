/** What members of a repository may do, and what a token may do of that. */
import { PogoError } from "./errors.ts";

/** Each includes what those before it may. */
export const roles = ["read", "write", "maintain", "admin"] as const;

/** What a member may do in a repository. */
export type Role = (typeof roles)[number];

/** What a token may do at most; `admin` is all that its owner may. */
const scopes = ["read", "write", "admin"] as const satisfies readonly Role[];

export type Scope = (typeof scopes)[number];

/** Tells whether somebody of a role, or of none, may do what another role may. */
export function includesRole(role: Role | null | undefined, needed: Role): boolean {
  return role != null && roles.indexOf(role) >= roles.indexOf(needed);
}

/** Refuses what is not a role. */
export function checkRole(text: string): Role {
  const role = roles.find((known) => known === text);
  if (role) return role;
  throw new PogoError("usage", `${JSON.stringify(text)} is not a role`, {
    hint: `one of ${roles.join(", ")}`,
  });
}

/** Refuses what is not a scope. */
export function checkScope(text: string): Scope {
  const scope = scopes.find((known) => known === text);
  if (scope) return scope;
  throw new PogoError("usage", `${JSON.stringify(text)} is not a token's scope`, {
    hint: `one of ${scopes.join(", ")}`,
  });
}
