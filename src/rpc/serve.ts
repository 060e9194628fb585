/** The server's end of the wire: handlers are functions and generators that know no gRPC. */
import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
} from "@grpc/grpc-js";

import { isPogoError, PogoError } from "#core/errors.ts";
import { readAddresses, type AddressReader } from "./forwarded.ts";
import { toStatus } from "./status.ts";

/** What a handler may know of the call. */
export type Call = {
  /** As sent, unchecked. */
  token: string | undefined;
  /** Aborted when the caller went away. */
  signal: AbortSignal;
  /** Path of the method, `/pogo.v1.PushService/Commit`. */
  method: string;
  /** Whence it comes, as far as who passed it on is trusted. */
  address: string;
};

export type FinishedCall = { method: string; code: string; elapsedMs: number; error?: unknown };

/** Told of every call that ended. Failures that are bugs have their error. */
export type CallObserver = (call: FinishedCall) => void;

export type Handlers = ReturnType<typeof handlers>;

type RawCall = {
  metadata: Metadata;
  getPath(): string;
  getPeer(): string;
  on(event: "cancelled" | "error", listener: () => void): unknown;
};

/** Makes the wrappers that turn a service's functions into what gRPC calls. */
export function handlers(observe: CallObserver, readAddress = readAddresses([])) {
  const begin = (raw: RawCall) => beginCall(raw, observe, readAddress);

  function unary<Request, Response>(
    handle: (request: Request, call: Call) => Promise<Response>,
  ): handleUnaryCall<Request, Response> {
    return (raw, respond) => {
      const call = begin(raw);
      handle(raw.request, call).then(
        (response) => {
          call.end();
          respond(null, response);
        },
        (error: unknown) => respond(call.fail(error)),
      );
    };
  }

  function serverStream<Request, Response>(
    handle: (request: Request, call: Call) => AsyncIterable<Response>,
  ): handleServerStreamingCall<Request, Response> {
    return async (raw) => {
      const call = begin(raw);
      const cancelled = aborted(call.signal);
      try {
        for await (const response of handle(raw.request, call)) {
          if (call.signal.aborted) throw gone();
          if (!raw.write(response)) {
            await Promise.race([new Promise<void>((done) => raw.once("drain", done)), cancelled]);
          }
        }
        call.end();
        raw.end();
      } catch (error) {
        raw.emit("error", call.fail(error));
      }
    };
  }

  function clientStream<Request, Response>(
    handle: (requests: AsyncIterable<Request>, call: Call) => Promise<Response>,
  ): handleClientStreamingCall<Request, Response> {
    return (raw, respond) => {
      const call = begin(raw);
      handle(received<Request>(raw, call.signal), call).then(
        (response) => {
          call.end();
          respond(null, response);
        },
        (error: unknown) => {
          respond(call.fail(error));
          // What the caller still sends is read and dropped, so that the answer gets through.
          raw.resume();
        },
      );
    };
  }

  return { unary, serverStream, clientStream };
}

function beginCall(raw: RawCall, observe: CallObserver, readAddress: AddressReader) {
  const controller = new AbortController();
  const startedMs = performance.now();
  const method = raw.getPath();
  raw.on("cancelled", () => controller.abort());
  // A broken connection is reported as cancelled too.
  raw.on("error", () => controller.abort());
  const authorization = raw.metadata.get("authorization")[0]?.toString();
  const finish = (code: string, error?: unknown) => {
    observe({ method, code, elapsedMs: performance.now() - startedMs, error });
  };
  return {
    method,
    address: readAddress(addressOf(raw.getPeer()), raw.metadata.get("x-forwarded-for").map(String)),
    signal: controller.signal,
    token: /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1],
    end: () => finish("ok"),
    fail: (error: unknown) => {
      if (isPogoError(error)) finish(error.code);
      else finish("internal", error);
      return toStatus(error);
    },
  };
}

/** The host of a peer that is written HOST:PORT. */
function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, "");
}

// grpc-js ends the stream of a cancelled call as if it were complete: the difference between half
// a stream and a whole one is only in the event.
async function* received<Request>(
  raw: AsyncIterable<unknown>,
  signal: AbortSignal,
): AsyncGenerator<Request> {
  const iterator = raw[Symbol.asyncIterator]();
  // One promise for all waits would keep every message alive until the end of the call.
  let cancel = () => {};
  signal.addEventListener("abort", () => cancel(), { once: true });
  while (true) {
    const next = await new Promise<IteratorResult<unknown>>((resolve, reject) => {
      cancel = () => reject(gone());
      if (signal.aborted) cancel();
      else iterator.next().then(resolve, reject);
    });
    if (signal.aborted) throw gone();
    if (next.done) return;
    yield next.value as Request;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(gone());
    signal.addEventListener("abort", () => reject(gone()), { once: true });
  });
  promise.catch(() => {});
  return promise;
}

function gone(): PogoError {
  return new PogoError("unavailable", "the caller went away");
}
