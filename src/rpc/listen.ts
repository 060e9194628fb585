/**
 * One port for gRPC and HTTP/1.1. The first bytes decide: an HTTP/2 preface is gRPC's, anything
 * else is given to the HTTP server, which answers garbage with 400. They may come one by one. Of
 * an encrypted connection, what was agreed on in its handshake decides.
 */
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

import { PogoError } from "#core/errors.ts";
import {
  requestHeadMs,
  connectionIdleMs,
  keepaliveAnswerMs,
  keepaliveMs,
  streamsPerConnectionMax,
  webIdleMs,
  wireMessageBytesMax,
} from "#core/limits.ts";

export type Service = {
  definition: ServiceDefinition;
  implementation: UntypedServiceImplementation;
};

export type ListenOptions = {
  host: string;
  /** 0: any free port. */
  port: number;
  services: Service[];
  http: RequestListener;
  /** The server's certificate and its key, in PEM; without, nothing is encrypted. */
  tls?: ServerIdentity | undefined;
  /** How long a connection may take to say what it speaks and, each time, what it asks for. */
  headMs?: number;
  /** How long a connection that has no call under way stays open. */
  idleMs?: number;
};

/** What a server shows its clients, in PEM. */
export type ServerIdentity = { cert: string; key: string };

export type Listener = {
  host: string;
  port: number;
  /** Shows new connections another certificate. */
  replaceTls(identity: ServerIdentity): void;
  /** Takes no new calls, lets those under way finish for so long, then ends them. */
  close(drainMs: number): Promise<void>;
};

const preface = Buffer.from("PRI * HTTP/2.0");

/** Starts to listen. An address that cannot be had is a PogoError. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, port, services, http, headMs = requestHeadMs, idleMs = connectionIdleMs } = options;
  const rpc = new Server({
    "grpc.max_receive_message_length": wireMessageBytesMax,
    "grpc.max_concurrent_streams": streamsPerConnectionMax,
    // What it counts of every connection and call, nobody can ask for.
    "grpc.enable_channelz": 0,
    "grpc.max_connection_idle_ms": idleMs,
    "grpc.keepalive_time_ms": keepaliveMs,
    "grpc.keepalive_timeout_ms": keepaliveAnswerMs,
  });
  for (const { definition, implementation } of services) {
    rpc.addService(definition, implementation);
  }
  const injector = rpc.createConnectionInjector(ServerCredentials.createInsecure());
  const web = openWeb(http, headMs);
  const open = new Set<Socket>();

  const take = (socket: Socket, protocol: Protocol) => {
    if (protocol === "grpc") injector.injectConnection(socket);
    else web.take(socket);
  };
  const keep = (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
  };
  const secure = options.tls && createTlsServer({ ...options.tls, ...tlsSettings(headMs) });
  secure?.on("secureConnection", (socket) => {
    keep(socket);
    // What was agreed on decides, so that nobody smuggles one protocol in the other.
    take(socket, socket.alpnProtocol === "h2" ? "grpc" : "http");
  });
  const server =
    secure ??
    createServer((socket) => {
      keep(socket);
      receiveProtocol(socket, headMs, (protocol) => take(socket, protocol));
    });

  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      reject(
        new PogoError("unavailable", `cannot listen on ${host}:${port} (${cause.code})`, {
          hint: "choose another address with --listen HOST:PORT",
          cause,
        }),
      );
    });
    server.listen(port, host, resolve);
  });

  async function close(drainMs: number): Promise<void> {
    server.close();
    web.server.close();
    let timer: Timer | undefined;
    const drained = new Promise<void>((resolve) => rpc.tryShutdown(() => resolve()));
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, drainMs)));
    await Promise.race([drained, late]);
    clearTimeout(timer);
    rpc.forceShutdown();
    injector.destroy();
    for (const socket of open) socket.destroy();
  }

  return {
    host,
    port: (server.address() as AddressInfo).port,
    replaceTls: (identity) => secure?.setSecureContext(identity),
    close,
  };
}

/** A handshake takes no longer than a head: who stops in the middle of it holds a descriptor. */
function tlsSettings(headMs: number) {
  return {
    ALPNProtocols: ["h2", "http/1.1"],
    minVersion: "TLSv1.2" as const,
    handshakeTimeout: headMs,
  };
}

/**
 * Opens an HTTP server that is given its connections. Bun's holds such to no timeout of its own:
 * the head of a request must come within a while, however it comes, and the rest must not stop.
 */
function openWeb(http: RequestListener, headMs: number) {
  const heads = new WeakMap<Socket, Timer>();
  const expectHead = (socket: Socket) => {
    if (!socket.destroyed)
      heads.set(
        socket,
        setTimeout(() => socket.destroy(), headMs),
      );
  };
  const server = createHttpServer((request, response) => {
    const { socket } = request;
    clearTimeout(heads.get(socket));
    response.once("close", () => expectHead(socket));
    http(request, response);
  });
  function take(socket: Socket): void {
    socket.setTimeout(webIdleMs, () => socket.destroy());
    socket.once("close", () => clearTimeout(heads.get(socket)));
    expectHead(socket);
    server.emit("connection", socket);
  }
  return { server, take };
}

type Protocol = "grpc" | "http";

/** Reads as far as it takes to know what a connection speaks; the reader gets it all again. */
function receiveProtocol(
  socket: Socket,
  withinMs: number,
  use: (protocol: Protocol) => void,
): void {
  let received = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), withinMs);
  socket.once("close", () => clearTimeout(timer));
  const take = (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    const protocol = protocolOf(received);
    if (protocol === undefined) return;
    clearTimeout(timer);
    socket.off("data", take);
    socket.pause();
    socket.unshift(received);
    use(protocol);
    socket.resume();
  };
  socket.on("data", take);
}

/** What a connection speaks that begins so; nothing while it may yet be either. */
function protocolOf(received: Buffer): Protocol | undefined {
  const length = Math.min(received.length, preface.length);
  if (!received.subarray(0, length).equals(preface.subarray(0, length))) return "http";
  return length === preface.length ? "grpc" : undefined;
}
