/**
 * Fetches objects from where the server says that they are, a content delivery network mostly.
 * Nobody there is believed: what came is decoded and its hash checked before it is passed on. The
 * first failure ends it, and all else comes from the server itself.
 */
import { PogoError } from "#core/errors.ts";
import { readAhead } from "#core/read-ahead.ts";
import type { Hash } from "#core/hash.ts";
import { objectBytesMax, urlFetchesMax, urlFetchMs, urlIdleMs } from "#core/limits.ts";
import { isLoopback } from "#core/loopback.ts";
import { decodeObject, encodePayload } from "#core/object.ts";
import type { ObjectUrl } from "#gen/pogo/v1/pull.ts";
import type { Blob } from "#rpc/blobs.ts";
import { authorities, type Trust } from "#rpc/trust.ts";
import { wrong } from "./received.ts";

/** An object, or where it is. */
export type Located = Blob | ObjectUrl;

export type ObjectFetcher = {
  /** Whether URLs are of any use. */
  readonly isOn: boolean;
  /** Passes on objects, in order, fetching those that are elsewhere, or else by `instead`. */
  follow(
    located: AsyncIterable<Located>,
    instead: (hashes: Hash[]) => AsyncIterable<Blob>,
  ): AsyncGenerator<Blob>;
};

type FetcherOptions = {
  /** Of the server, who says where objects are. */
  url: string;
  trust: Trust;
  signal?: AbortSignal | undefined;
  /** How long nothing may come. */
  idleMs?: number;
};

// Objects that are asked for again at once.
const missedMax = 256;

/** Makes what fetches, for as long as nothing fails. */
export function openObjectFetcher(options: FetcherOptions): ObjectFetcher {
  const { url, trust, signal, idleMs = urlIdleMs } = options;
  const mayBeLocal = isLoopback(new URL(url).hostname);
  let isOn = true;
  // Long, and of no use to most commands.
  let tls: Bun.TLSOptions | undefined;

  /** The object, or nothing if it has to come from the server. */
  async function fetchObject(
    located: ObjectUrl,
    stopped: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    if (!isOn) return undefined;
    try {
      checkUrl(located.url, mayBeLocal);
      tls ??= { ca: authorities({ roots: trust.roots }), rejectUnauthorized: true };
      return await download(located, { tls, stopped, idleMs });
    } catch {
      // Who does not want it any more has not met a failure.
      stopped.throwIfAborted();
      isOn = false;
      return undefined;
    }
  }

  async function* follow(
    located: AsyncIterable<Located>,
    instead: (hashes: Hash[]) => AsyncIterable<Blob>,
  ): AsyncGenerator<Blob> {
    const items = located[Symbol.asyncIterator]();
    try {
      let next = await items.next();
      // Where nothing is elsewhere, nothing is held up.
      for (; !next.done && "bytes" in next.value; next = await items.next()) yield next.value;
      if (!next.done) yield* fetchAhead(next.value, items, instead);
    } finally {
      await items.return?.();
    }
  }

  async function* fetchAhead(
    first: Located,
    items: AsyncIterator<Located>,
    instead: (hashes: Hash[]) => AsyncIterable<Blob>,
  ): AsyncGenerator<Blob> {
    async function* located() {
      yield first;
      yield* { [Symbol.asyncIterator]: () => items };
    }
    const ended = new AbortController();
    const stopped = AbortSignal.any([ended.signal, ...(signal ? [signal] : [])]);
    const read = async (item: Located): Promise<Uint8Array | undefined> => {
      if ("bytes" in item) return item.bytes;
      if (item.rawSize > objectBytesMax) throw wrong("says that an object is larger than any is");
      return await fetchObject(item, stopped);
    };
    let missed: Hash[] = [];
    const bytesOf = (item: Located) => ("bytes" in item ? item.bytes.length : item.rawSize);
    try {
      for await (const { item, value } of readAhead(located(), read, bytesOf, urlFetchesMax)) {
        if (value === undefined) missed.push(item.hash);
        if (missed.length > 0 && (value !== undefined || missed.length === missedMax)) {
          yield* instead(missed);
          missed = [];
        }
        if (value !== undefined) yield { hash: item.hash, bytes: value };
      }
      if (missed.length > 0) yield* instead(missed);
    } finally {
      ended.abort();
    }
  }

  return {
    get isOn() {
      return isOn;
    },
    follow,
  };
}

/** Refuses what nobody may be sent to: by whom others could listen in on, or into this machine. */
function checkUrl(text: string, mayBeLocal: boolean): void {
  const url = URL.parse(text);
  const isLocal = url?.protocol === "http:" && isLoopback(url.hostname) && mayBeLocal;
  if (url && (url.protocol === "https:" || isLocal) && !url.username && !url.password) return;
  throw wrong(`says that an object is at ${JSON.stringify(text)}`);
}

async function download(
  { hash, url, rawSize }: ObjectUrl,
  { tls, stopped, idleMs }: { tls: Bun.TLSOptions; stopped: AbortSignal; idleMs: number },
): Promise<Uint8Array> {
  const ending = new AbortController();
  const giveUp = () => ending.abort();
  const idle = setTimeout(giveUp, idleMs);
  const late = setTimeout(giveUp, urlFetchMs);
  try {
    const response = await fetch(url, {
      // As it comes: it is decompressed within bounds, and nobody sends us elsewhere.
      decompress: false,
      redirect: "error",
      headers: { "accept-encoding": "zstd" },
      tls,
      signal: AbortSignal.any([ending.signal, stopped]),
    });
    if (response.status !== 200) throw unusable(`answers ${response.status}`);
    const codec = codecs[response.headers.get("content-encoding") ?? "identity"];
    if (!codec) throw unusable("sends what is encoded otherwise");
    const payload = Buffer.allocUnsafe(rawSize);
    let filled = 0;
    for await (const piece of response.body ?? []) {
      if (filled + piece.length > rawSize) throw unusable("sends more than there is");
      payload.set(piece, filled);
      filled += piece.length;
      idle.refresh();
    }
    const encoded = encodePayload(codec, rawSize, payload.subarray(0, filled));
    decodeObject(hash, encoded);
    return encoded;
  } finally {
    clearTimeout(idle);
    clearTimeout(late);
    // What was not read is not waited for.
    giveUp();
  }
}

const codecs: Record<string, "raw" | "zstd"> = { identity: "raw", zstd: "zstd" };

function unusable(what: string): PogoError {
  return new PogoError("unavailable", `where objects are to be had, somebody ${what}`);
}
