/** Audit events: who did what, and who was refused, each bound to all before it by a hash. */
import { sha256, type Hash } from "./hash.ts";
import { canonicalJson, type Json } from "./operation.ts";

export type AuditEvent = {
  /** From 1, without gaps, on a server. */
  number: number;
  /** Milliseconds since 1970. */
  createdAt: number;
  /** Null: nobody who could be known. */
  userName: string | null;
  tokenName: string | null;
  address: string;
  action: string;
  repositoryName: string | null;
  allowed: boolean;
  details: { readonly [key: string]: Json };
};

const domain = Buffer.from("pogo audit 1\n");

/** Hashes an event together with the hash of the one before; before the first, zeros. */
export function auditHash(previous: Hash, event: AuditEvent): Hash {
  const { number, createdAt, userName, tokenName, address, action } = event;
  const { repositoryName, allowed, details } = event;
  const who = [userName, tokenName, address];
  const fields = [number, createdAt, who, action, repositoryName, allowed, details];
  return sha256(Buffer.concat([domain, previous, Buffer.from(canonicalJson(fields))]));
}
