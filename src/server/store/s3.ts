/**
 * Objects in a bucket of an S3-compatible service, under the names that they have on a disk:
 * `PREFIX/aa/aa12…`. A put of the service is atomic, and durable when it is acknowledged; so is
 * the end of a multipart upload. An object is put without asking whether it is there: what would
 * take its place is the same contents, and a question costs as much as a put.
 */
import { S3Client } from "bun";

import { toHex, type Hash } from "#core/hash.ts";
import { bucketAttemptsMax, bucketRequestMs, bucketRetryMsMax } from "#core/limits.ts";
import { encodedBytesMax } from "#core/object.ts";
import { inLanes } from "./lanes.ts";
import type { S3Location } from "./location.ts";
import { isEmptyRange, isNoSuchKey, isTransient, s3Error, withinTime } from "./s3-error.ts";
import {
  checkObject,
  isWhole,
  missingObject,
  type ObjectStore,
  type StoredObject,
} from "./store.ts";

const putLanesMax = 16;
const partBytes = 8 * 1024 * 1024;
const partLanesMax = 4;
// Together about ten seconds, which is longer than a service takes to let another node answer.
const firstRetryMs = 200;

/** Opens the store in a bucket, after a look at it: what is wrong is said now. */
export async function openS3Store(
  location: S3Location,
  options: { retryMs?: number } = {},
): Promise<ObjectStore> {
  const store = new S3Store(location, options.retryMs ?? firstRetryMs);
  await store.open();
  return store;
}

/** Makes the client that speaks to the bucket, in the style that its service wants. */
export function s3Client(location: S3Location): S3Client {
  const { bucket, endpoint, region, isVirtualHosted } = location;
  const { accessKeyId, secretAccessKey, sessionToken } = location;
  return new S3Client({
    accessKeyId,
    secretAccessKey,
    bucket,
    region,
    retry: 0,
    virtualHostedStyle: isVirtualHosted,
    ...(sessionToken !== undefined && { sessionToken }),
    ...(endpoint !== undefined && {
      endpoint: isVirtualHosted ? endpoint.replace("://", `://${bucket}.`) : endpoint,
    }),
  });
}

class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #location: S3Location;
  readonly #retryMs: number;

  constructor(location: S3Location, retryMs: number) {
    this.#location = location;
    this.#retryMs = retryMs;
    this.#client = s3Client(location);
  }

  async open(): Promise<void> {
    const { prefix } = this.#location;
    await this.#request("list", () => this.#client.list({ prefix, maxKeys: 1 }));
  }

  async putAll(objects: readonly StoredObject[]): Promise<void> {
    for (const { hash, encoded } of objects) checkObject(hash, encoded);
    await inLanes(objects, putLanesMax, async ({ hash, encoded }) => {
      await this.#request("write", () => this.#put(this.#key(hash), encoded));
    });
  }

  async get(hash: Hash): Promise<Uint8Array> {
    const encoded = await this.#read(hash);
    if (!encoded) throw missingObject(hash);
    checkObject(hash, encoded);
    return encoded;
  }

  async has(hash: Hash): Promise<boolean> {
    const encoded = await this.#read(hash);
    return encoded !== undefined && isWhole(encoded);
  }

  async delete(hash: Hash): Promise<void> {
    try {
      await this.#request("delete", () => this.#client.delete(this.#key(hash)));
    } catch (error) {
      if (!isNoSuchKey(error)) throw error;
    }
  }

  async *list(): AsyncGenerator<Hash> {
    const { prefix } = this.#location;
    let continuationToken: string | undefined;
    do {
      const page = await this.#request("list", () =>
        this.#client.list({
          prefix,
          ...(continuationToken !== undefined && { continuationToken }),
        }),
      );
      for (const { key } of page.contents ?? []) {
        const name = /^([0-9a-f]{2})\/(\1[0-9a-f]{62})$/.exec(key.slice(prefix.length))?.[2];
        if (name !== undefined && key.startsWith(prefix)) yield Uint8Array.fromHex(name);
      }
      continuationToken = page.isTruncated ? page.nextContinuationToken : undefined;
    } while (continuationToken !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #put(key: string, encoded: Uint8Array): Promise<void> {
    if (encoded.length <= partBytes) {
      await this.#client.write(key, encoded);
      return;
    }
    const writer = this.#client
      .file(key)
      .writer({ partSize: partBytes, queueSize: partLanesMax, retry: 3 });
    writer.write(encoded);
    await writer.end();
  }

  async #read(hash: Hash): Promise<Uint8Array | undefined> {
    // What is longer than any object is damaged: cut, it is still damaged.
    const file = this.#client.file(this.#key(hash)).slice(0, encodedBytesMax + 1);
    try {
      return await this.#request("read", async () => {
        try {
          return await file.bytes();
        } catch (error) {
          if (isEmptyRange(error)) return new Uint8Array(0);
          throw error;
        }
      });
    } catch (error) {
      if (isNoSuchKey(error)) return undefined;
      throw error;
    }
  }

  #key(hash: Hash): string {
    const name = toHex(hash);
    return `${this.#location.prefix}${name.slice(0, 2)}/${name}`;
  }

  /** Asks again, later each time, when the service or the way to it was the reason. */
  async #request<T>(verb: string, send: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await withinTime(bucketRequestMs, send());
      } catch (error) {
        if (isNoSuchKey(error)) throw error;
        if (attempt === bucketAttemptsMax || !isTransient(error)) {
          throw s3Error(error, verb, this.#location);
        }
      }
      const ms = Math.min(this.#retryMs * 2 ** (attempt - 1), bucketRetryMsMax);
      // Those who failed together do not come back together.
      await new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random() / 2)));
    }
  }
}
