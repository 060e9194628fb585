/** A server's log of who did what and who was refused, and the proof that nobody altered it. */
import { join } from "node:path";

import { auditHash, type AuditEvent } from "#core/audit.ts";
import { findBreak, type Link } from "#core/chain.ts";
import { PogoError } from "#core/errors.ts";
import { fromHex, hashBytes, toHex, type Hash } from "#core/hash.ts";
import {
  AuditServiceService as Audit,
  type AuditEvent as Message,
  type ListAuditEventsResponse,
} from "#gen/pogo/v1/audit.ts";
import type { Channel } from "#rpc/channel.ts";
import { readPrivate, writePrivate } from "./config.ts";
import { wrong } from "./received.ts";

type Event = AuditEvent & Link;

/** What was verified: the last event, and the last of those that are not kept any more. */
export type VerifiedAudit = { head: Link; start: Link };

/**
 * Computes the hash of every event again, and compares the end with the one that was verified
 * before, which is remembered in the user's configuration. The first event that is wrong is named.
 */
export async function verifyAudit(
  { channel, directory }: { channel: Channel; directory: string },
  settings: { signal: AbortSignal },
): Promise<VerifiedAudit> {
  const path = join(directory, "audit.json");
  const all = readPrivate<{ number: number; hash: string }>(path);
  const entry = all[channel.url];
  const known = entry && { number: entry.number, hash: fromHex(entry.hash) };
  const request = { since: 0, user: "", limit: 0 };
  const pages = channel.serverStream(Audit.listAuditEvents, request, settings);
  const { value: first } = await pages.next();
  if (!first) throw wrong("did not say where its log ends");
  const head = readLink(first.headNumber, first.headHash);
  let last: ListAuditEventsResponse = first;
  async function* events(): AsyncGenerator<Event> {
    for await (const page of pages) {
      last = page;
      yield* page.events.map(toEvent);
    }
  }
  const problem = await findBreak<Event>(events(), {
    noun: "event",
    head,
    known,
    start: () => readLink(last.startNumber, last.startHash),
    hashAfter: auditHash,
    describe,
  });
  if (problem !== undefined) {
    throw new PogoError("corrupt", `the audit log was tampered with: ${problem}`, {
      hint: "ask who has access to the server's database, and compare with a backup of it",
    });
  }
  writePrivate(path, { ...all, [channel.url]: { number: head.number, hash: toHex(head.hash) } });
  return { head, start: readLink(last.startNumber, last.startHash) };
}

function readLink(number: number, hash: Uint8Array): Link {
  if (hash.length === hashBytes) return { number, hash: hash as Hash };
  throw wrong("sent a hash that is none");
}

function toEvent(message: Message): Event {
  const { number, createdAt, address, action, allowed, hash } = message;
  return {
    ...readLink(number, hash),
    createdAt,
    userName: message.user || null,
    tokenName: message.token || null,
    address,
    action,
    repositoryName: message.repository || null,
    allowed,
    details: readDetails(message),
  };
}

function readDetails({ number, details }: Message): AuditEvent["details"] {
  try {
    return JSON.parse(details) as AuditEvent["details"];
  } catch (cause) {
    throw new PogoError("corrupt", `the details of event ${number} are not JSON`, { cause });
  }
}

function describe({ number, action, userName, createdAt }: Event): string {
  const time = new Date(createdAt).toISOString();
  return `event ${number} (${action} by ${userName ?? "nobody"}, ${time})`;
}
