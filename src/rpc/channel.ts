/** The client's end of the wire: calls as promises and async iterables, failures as PogoError. */
import {
  Client,
  credentials,
  Metadata,
  status,
  type CallOptions,
  type MethodDefinition,
  type ServiceError,
} from "@grpc/grpc-js";

import { PogoError } from "#core/errors.ts";
import { isLoopback } from "#core/loopback.ts";
import {
  callPatienceMs,
  keepaliveAnswerMs,
  keepaliveMs,
  unaryDeadlineMs,
  windowBytes,
  wireMessageBytesMax,
} from "#core/limits.ts";
import { fromStatus, isDistrusted, retryMsOf } from "./status.ts";
import { authorities, identityCheck, requestedName, type Trust } from "./trust.ts";

export type CallSettings = {
  signal?: AbortSignal | undefined;
  /** Time for the whole call. Unary calls have a default; streams have none. */
  deadlineMs?: number;
};

export type ChannelOptions = {
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  url: string;
  token?: string | undefined;
  /** Allows plain http to hosts other than this machine. */
  allowInsecure?: boolean;
  /** Whose certificates are believed; those of the usual authorities unless told otherwise. */
  trust?: Trust;
};

export type Channel = ReturnType<typeof openChannel>;

const retryDelaysMs = [50, 200, 800];

/** Reads a server's address, and refuses what would send a token in the clear. */
export function checkServerUrl(text: string, allowInsecure = false): URL {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new PogoError("usage", `${JSON.stringify(text)} is not the address of a server`, {
      hint: "write it as https://HOST or http://localhost:PORT",
    });
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname) && !allowInsecure) {
    throw new PogoError("denied", `${url.origin} is not encrypted: anyone could read the token`, {
      hint: `use https, or on a network that you trust: pogo login ${url.origin} --insecure-http`,
    });
  }
  return url;
}

/** Opens a channel to a server. It connects at the first call. */
export function openChannel(options: ChannelOptions) {
  const { url, token, allowInsecure = false, trust = {} } = options;
  const { protocol, hostname, port, host, origin } = checkServerUrl(url, allowInsecure);
  const secure = protocol === "https:";
  const client = new Client(
    `${hostname}:${port || (secure ? 443 : 80)}`,
    secure ? secureCredentials(hostname, trust) : credentials.createInsecure(),
    {
      ...(secure && { "grpc.ssl_target_name_override": requestedName(hostname) }),
      "grpc.max_receive_message_length": wireMessageBytesMax,
      "grpc-node.flow_control_window": windowBytes,
      "grpc.enable_retries": 0,
      "grpc.enable_http_proxy": 0,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 1000,
      // Else a stream whose server has vanished waits until TCP gives up: a quarter of an hour.
      "grpc.keepalive_time_ms": keepaliveMs,
      "grpc.keepalive_timeout_ms": keepaliveAnswerMs,
      // Channels of one process share nothing, as if each had one of its own.
      "grpc.use_local_subchannel_pool": 1,
    },
  );
  const fail = (error: unknown) => {
    return isServiceError(error) ? fromStatus(error, host, trust.certificate !== undefined) : error;
  };
  const metadata = () => {
    const headers = new Metadata();
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    return headers;
  };

  /**
   * Sends one request, gets one answer. A call that the connection lost is sent again: every
   * request that changes something carries an id by which the server knows it.
   */
  async function unary<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    settings: CallSettings = {},
  ): Promise<Response> {
    const patience = openPatience(settings.signal);
    for (let attempt = 0; ; attempt++) {
      try {
        return await unaryOnce(method, request, settings);
      } catch (error) {
        if (await patience.wait(error)) continue;
        const delayMs = retryDelaysMs[attempt];
        const lost = isServiceError(error) && error.code === status.UNAVAILABLE;
        const chosen = lost && (error.metadata.get("pogo-code").length > 0 || isDistrusted(error));
        if (!lost || chosen || delayMs === undefined || settings.signal?.aborted) throw fail(error);
        await Bun.sleep(delayMs);
      }
    }
  }

  function unaryOnce<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    { signal, deadlineMs = unaryDeadlineMs }: CallSettings,
  ): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata(),
      callOptions(deadlineMs),
      (error, response) => (error ? reject(error) : resolve(response as Response)),
    );
    return cancelledBy(signal, call, promise);
  }

  /** Sends one request, yields answers as they come. Leaving the loop early cancels the call. */
  async function* serverStream<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    settings: CallSettings = {},
  ): AsyncGenerator<Response> {
    const patience = openPatience(settings.signal);
    for (let isBegun = false; ;) {
      try {
        for await (const response of serverStreamOnce(method, request, settings)) {
          isBegun = true;
          yield response;
        }
        return;
      } catch (error) {
        if (isBegun || !(await patience.wait(error))) throw fail(error);
      }
    }
  }

  async function* serverStreamOnce<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    { signal, deadlineMs }: CallSettings,
  ): AsyncGenerator<Response> {
    const call = client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata(),
      callOptions(deadlineMs),
    );
    const cancel = () => call.cancel();
    signal?.addEventListener("abort", cancel);
    try {
      for await (const response of call) yield response as Response;
    } finally {
      signal?.removeEventListener("abort", cancel);
      // The cancelled call's own error has nobody left to tell.
      call.on("error", () => {});
      call.cancel();
    }
  }

  /** Sends requests as fast as the server takes them, gets one answer, which may come early. */
  async function clientStream<Request, Response>(
    method: MethodDefinition<Request, Response>,
    requests: AsyncIterable<Request>,
    { signal, deadlineMs }: CallSettings = {},
  ): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    let isAnswered = false;
    const call = client.makeClientStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata(),
      callOptions(deadlineMs),
      (error, response) => {
        isAnswered = true;
        if (error) reject(error);
        else resolve(response as Response);
      },
    );
    const answer = cancelledBy(signal, call, promise);
    answer.catch(() => {});
    call.on("error", () => {});
    try {
      for await (const request of requests) {
        if (isAnswered) break;
        if (!call.write(request)) await Promise.race([drained(call), answer]);
      }
    } catch (error) {
      call.cancel();
      throw fail(error);
    }
    if (!isAnswered) call.end();
    return await answer.catch((error: unknown) => {
      throw fail(error);
    });
  }

  return { unary, serverStream, clientStream, url: origin, trust, close: () => client.close() };
}

function secureCredentials(hostname: string, trust: Trust) {
  const checkServerIdentity = identityCheck(hostname, trust);
  const roots = Buffer.from(authorities(trust));
  return credentials.createSsl(roots, null, null, { checkServerIdentity });
}

/**
 * Waits as long as a server that was asked too often wants, altogether no longer than somebody at
 * a prompt would. Says no to any other failure.
 */
function openPatience(signal: AbortSignal | undefined) {
  let leftMs = callPatienceMs;
  return {
    async wait(error: unknown): Promise<boolean> {
      const retryMs = isServiceError(error) ? retryMsOf(error) : undefined;
      if (retryMs === undefined || retryMs > leftMs || signal?.aborted) return false;
      // Those who were refused together do not come back together.
      const waitMs = retryMs * (1 + Math.random() / 2);
      leftMs -= waitMs;
      const aborted = Promise.withResolvers<void>();
      signal?.addEventListener("abort", () => aborted.resolve(), { once: true });
      await Promise.race([Bun.sleep(waitMs), aborted.promise]);
      return !signal?.aborted;
    },
  };
}

type Cancellable = { cancel(): void };
type Drainable = { once(event: "drain", listener: () => void): unknown };

function callOptions(deadlineMs: number | undefined): CallOptions {
  return deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
}

async function cancelledBy<T>(
  signal: AbortSignal | undefined,
  call: Cancellable,
  answer: Promise<T>,
): Promise<T> {
  if (!signal) return await answer;
  const cancel = () => call.cancel();
  signal.addEventListener("abort", cancel);
  if (signal.aborted) cancel();
  try {
    return await answer;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

function drained(stream: Drainable): Promise<void> {
  return new Promise((resolve) => void stream.once("drain", resolve));
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "details" in error && "metadata" in error;
}
