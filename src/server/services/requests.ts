/** What requests carry, checked once: everything that protobuf cannot say. */
import { PogoError } from "#core/errors.ts";
import { hashBytes, type Hash } from "#core/hash.ts";
import { descriptionBytesMax, hashesPerRequestMax } from "#core/limits.ts";
import type { Caller } from "../auth.ts";
import type { Queries } from "../db/connect.ts";
import { findOperation, type DoneOperation, type OperationKind } from "../db/operations.ts";

/** Refuses what is not a hash. */
export function checkHash(hash: Uint8Array): Hash {
  if (hash.length === hashBytes) return hash;
  throw new PogoError("usage", `a hash of ${hash.length} bytes`);
}

/** Refuses too many hashes, or what is none. */
export function checkHashes(...lists: Uint8Array[][]): void {
  const count = lists.reduce((sum, list) => sum + list.length, 0);
  if (count > hashesPerRequestMax) {
    throw new PogoError("usage", `${count} hashes in one request: ${hashesPerRequestMax} may be`);
  }
  for (const list of lists) list.forEach(checkHash);
}

/** Refuses a request that could not be told from another. */
export function checkRequestId(requestId: Uint8Array): Uint8Array {
  if (requestId.length === 16) return requestId;
  throw new PogoError("usage", `a request id of ${requestId.length} bytes`);
}

/** Refuses a description that is too long, or that a terminal would obey instead of showing. */
export function checkDescription(text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > descriptionBytesMax) {
    const message = `the description has ${bytes} bytes: ${descriptionBytesMax} may be`;
    throw new PogoError("usage", message);
  }
  if (!text.isWellFormed() || /[^\P{Cc}\n\t]/u.test(text)) {
    throw new PogoError("usage", "the description contains control characters");
  }
}

/** Refuses what no name holds and no database takes. */
export function checkText(text: string): void {
  if (text.includes("\0")) throw new PogoError("usage", "a name contains NUL");
}

/**
 * What a request did when it was sent before; nothing when it is new. `isSame` says of an
 * operation of the kind whether the request could have made it.
 */
export async function recallOperation(
  sql: Queries,
  request: { repositoryId: number; requestId: Uint8Array; caller: Caller; kind: OperationKind },
  isSame: (done: DoneOperation) => boolean | Promise<boolean> = () => true,
): Promise<DoneOperation | undefined> {
  const operation = await findOperation(sql, request.repositoryId, request.requestId);
  if (!operation) return undefined;
  const isOwn = operation.userId === request.caller.userId && operation.kind === request.kind;
  if (isOwn && (await isSame(operation))) return operation;
  throw new PogoError("usage", "the request id was used for something else");
}

/** Reads the first message of a stream, which names the repository, and all of them. */
export async function openRequests<Request extends { repository: string }>(
  requests: AsyncIterable<Request>,
): Promise<{ repository: string; messages: AsyncIterable<Request> }> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) throw new PogoError("usage", "a stream without messages");
  async function* messages() {
    yield first.value as Request;
    for await (const request of { [Symbol.asyncIterator]: () => iterator }) {
      if (request.repository !== "") {
        throw new PogoError("usage", "only the first message of a stream names the repository");
      }
      yield request;
    }
  }
  return { repository: first.value.repository, messages: messages() };
}
