/** Makes a backup of a server that runs: a snapshot first, then the objects that it names. */
import { open, rm, type FileHandle } from "node:fs/promises";

import { PogoError } from "#core/errors.ts";
import { hashKey, sha256Stream, toHex, type Hash } from "#core/hash.ts";
import { dayMs, putGroupBytes, putGroupCount } from "#core/limits.ts";
import { encodedBytesMax } from "#core/object.ts";
import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import { fromParts } from "#rpc/blobs.ts";
import type { Channel } from "#rpc/channel.ts";
import type { StoredObject } from "../store/store.ts";
import {
  checkContents,
  claimBackup,
  lookedUpObjects,
  missingObjects,
  nameSnapshot,
  pages,
  temporarySnapshot,
  type Backup,
} from "./directory.ts";
import { encodeEnd, readHead } from "./format.ts";

export type Received = {
  /** The snapshot's name. */
  snapshot: string;
  /** What it needs, and what of that was sent. */
  objects: number;
  sentObjects: number;
  sentBytes: number;
  /** Objects that the server could not give, as they are damaged there. */
  lost: Hash[];
};

export type ReceiveOptions = {
  signal?: AbortSignal | undefined;
  progress?: {
    total(amount: { files: number; bytes: number }): void;
    add(amount: { files: number; bytes: number }): void;
  };
};

type Parts = { channel: Channel; backup: Backup };

// Objects stay on the server for a day after the last snapshot that names them.
const lastingMs = dayMs * 0.9;

/** Makes a backup; what is there already is not sent again. */
export async function receiveBackup(parts: Parts, options: ReceiveOptions = {}): Promise<Received> {
  const path = temporarySnapshot(parts.backup);
  try {
    const { takenAt, ...received } = await receiveAll(parts, path, options);
    return { snapshot: await nameSnapshot(parts.backup, path, takenAt), ...received };
  } finally {
    await rm(path, { force: true });
  }
}

/** Receives a snapshot and its objects, durably. */
async function receiveAll(
  parts: Parts,
  path: string,
  options: ReceiveOptions,
): Promise<Omit<Received, "snapshot"> & { takenAt: string }> {
  const { backup } = parts;
  const begunMs = performance.now();
  await using file = await open(path, "wx", 0o600);
  const whole = sha256Stream();
  await receiveSnapshot(parts, file, whole, options);
  const { takenAt, serverId } = await readHead(path);
  claimBackup(backup, serverId);
  const objects = await countObjects(backup, path, options);
  const sent = await receiveObjects(parts, path, options);
  if (sent.lost.length > 0 && performance.now() - begunMs > lastingMs) {
    throw new PogoError("unavailable", "it took so long that the server has deleted objects", {
      hint: "run the command again: what has arrived is not sent again",
    });
  }
  const end = await encodeEnd(sent.lost);
  whole.update(end);
  await file.writeFile(Buffer.concat([end, whole.digest()]));
  await file.sync();
  return { takenAt, objects, ...sent };
}

async function receiveSnapshot(
  { channel }: Parts,
  file: FileHandle,
  whole: ReturnType<typeof sha256Stream>,
  { signal }: ReceiveOptions,
): Promise<void> {
  for await (const { data } of channel.serverStream(Storage.takeSnapshot, {}, { signal })) {
    whole.update(data);
    await file.writeFile(data);
  }
}

/** Counts what a snapshot needs, and tells how much of it is to come. */
async function countObjects(
  backup: Backup,
  path: string,
  { progress }: ReceiveOptions,
): Promise<number> {
  const total = { files: 0, bytes: 0 };
  let count = 0;
  for await (const { isThere, storedSize } of lookedUpObjects(backup, path)) {
    count++;
    if (isThere) continue;
    total.files++;
    total.bytes += storedSize;
  }
  progress?.total(total);
  return count;
}

async function receiveObjects(
  { channel, backup }: Parts,
  path: string,
  { signal, progress }: ReceiveOptions,
): Promise<Omit<Received, "snapshot" | "objects">> {
  const sent = { sentObjects: 0, sentBytes: 0, lost: [] as Hash[] };
  let group: StoredObject[] = [];
  let gatheredBytes = 0;
  // One group is made durable while the next is received.
  let storing = Promise.resolve();
  const flush = async () => {
    await storing;
    storing = backup.objects.putAll(group);
    // Whoever flushes next is told of the failure.
    storing.catch(() => {});
    group = [];
    gatheredBytes = 0;
  };
  for await (const asked of pages(missingObjects(backup, path))) {
    const hashes = asked.map(({ hash }) => hash);
    const left = new Set(hashes.map(hashKey));
    const messages = channel.serverStream(Storage.getStoredObjects, { hashes }, { signal });
    for await (const { hash, bytes } of fromParts(messages, encodedBytesMax, "corrupt")) {
      if (!left.delete(hashKey(hash))) throw wrongServer(`sent object ${toHex(hash)} unasked`);
      if (bytes.length === 0) {
        sent.lost.push(hash);
        continue;
      }
      checkContents(hash, bytes);
      group.push({ hash, encoded: bytes });
      gatheredBytes += bytes.length;
      sent.sentObjects++;
      sent.sentBytes += bytes.length;
      progress?.add({ files: 1, bytes: bytes.length });
      if (gatheredBytes >= putGroupBytes || group.length >= putGroupCount) await flush();
    }
    if (left.size > 0) throw wrongServer(`did not send ${left.size} objects`);
  }
  await flush();
  await storing;
  return sent;
}

function wrongServer(what: string): PogoError {
  return new PogoError("corrupt", `the server ${what}`, {
    hint: "compare pogo --version here and there",
  });
}
