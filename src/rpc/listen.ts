/**
 * One port for gRPC and HTTP/1.1. The first bytes decide: an HTTP/2 preface is gRPC's, anything
 * else is given to the HTTP server, which answers garbage with 400.
 */
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer, type AddressInfo, type Socket } from "node:net";

import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

import { PogoError } from "#core/errors.ts";
import { messageBytesMax } from "#core/limits.ts";

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
};

export type Listener = {
  host: string;
  port: number;
  /** Takes no new calls, lets those under way finish for so long, then ends them. */
  close(drainMs: number): Promise<void>;
};

const preface = Buffer.from("PRI * HTTP/2.0");
// A connection that says nothing holds a descriptor.
const silentMs = 10_000;
// So does one that stops in the middle of a request.
const webIdleMs = 30_000;

/** Starts to listen. An address that cannot be had is a PogoError. */
export async function listen({ host, port, services, http }: ListenOptions): Promise<Listener> {
  const rpc = new Server({
    "grpc.max_receive_message_length": messageBytesMax + 64 * 1024,
    "grpc.max_concurrent_streams": 100,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 20_000,
  });
  for (const { definition, implementation } of services) {
    rpc.addService(definition, implementation);
  }
  const injector = rpc.createConnectionInjector(ServerCredentials.createInsecure());
  const web = createHttpServer(http);
  const open = new Set<Socket>();

  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    const timer = setTimeout(() => socket.destroy(), silentMs);
    socket.once("close", () => clearTimeout(timer));
    socket.once("data", (first: Buffer) => {
      clearTimeout(timer);
      socket.pause();
      socket.unshift(first);
      const length = Math.min(first.length, preface.length);
      if (first.subarray(0, length).equals(preface.subarray(0, length))) {
        injector.injectConnection(socket);
      } else {
        // Bun's HTTP server holds connections that were given to it to no timeout of its own.
        socket.setTimeout(webIdleMs, () => socket.destroy());
        web.emit("connection", socket);
      }
      socket.resume();
    });
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
    web.close();
    let timer: Timer | undefined;
    const drained = new Promise<void>((resolve) => rpc.tryShutdown(() => resolve()));
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, drainMs)));
    await Promise.race([drained, late]);
    clearTimeout(timer);
    rpc.forceShutdown();
    injector.destroy();
    for (const socket of open) socket.destroy();
  }

  return { host, port: (server.address() as AddressInfo).port, close };
}
