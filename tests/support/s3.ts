/** A real S3-compatible server on loopback, if this machine has one: versitygw. */
import { mkdirSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";

import type { S3Location } from "#server/store/location.ts";
import { s3Program } from "../../scripts/s3.ts";
import { temporaryDirectory } from "./postgres.ts";

export type S3Server = AsyncDisposable & {
  /** Where a new bucket is. */
  bucket(name: string): S3Location;
  /** The file that an object of a bucket is. */
  pathOf(location: S3Location, key: string): string;
  /** Connections that are cut, one after the other, as soon as something is sent. */
  cut(count: number): void;
};

const accessKeyId = "tester";
const secretAccessKey = "secret-of-the-tests";

/** Starts a server on an empty directory. */
export async function startS3(): Promise<S3Server> {
  await using opening = new AsyncDisposableStack();
  const { path } = opening.use(temporaryDirectory());
  const buckets = join(path, "buckets");
  mkdirSync(buckets);
  // It does not say which port it was given; a socket has a name.
  const socket = join(path, "socket");
  const sidecar = join(path, "sidecar");
  mkdirSync(sidecar);
  const listening = [s3Program()!, "--port", socket, "--quiet", "--virtual-domain", "localhost"];
  const command = [...listening, "posix", "--sidecar", sidecar, buckets];
  const child = Bun.spawn(command, {
    env: { ROOT_ACCESS_KEY_ID: accessKeyId, ROOT_SECRET_ACCESS_KEY: secretAccessKey },
    stdio: ["ignore", "ignore", "ignore"],
  });
  opening.defer(async () => {
    child.kill();
    await child.exited;
  });
  while (child.exitCode === null && !(await answers(socket))) await Bun.sleep(10);
  const front = opening.use(await openFront(socket));
  const opened = opening.move();
  return {
    bucket(name) {
      mkdirSync(join(buckets, name));
      return {
        kind: "s3",
        bucket: name,
        prefix: "some/where/",
        endpoint: `http://127.0.0.1:${front.port}`,
        region: "us-east-1",
        accessKeyId,
        secretAccessKey,
        sessionToken: undefined,
        isVirtualHosted: false,
      };
    },
    pathOf: ({ bucket, prefix }, key) => join(buckets, bucket, prefix, key),
    cut: front.cut,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function answers(socket: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const connection = connect(socket);
  connection.once("connect", () => resolve(true)).once("error", () => resolve(false));
  const isThere = await promise;
  connection.destroy();
  return isThere;
}

/** Passes a port on to the socket. */
async function openFront(socket: string) {
  let cuts = 0;
  const open = new Set<Socket>();
  const server = createServer((outer) => {
    const inner = connect(socket);
    for (const [one, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      open.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
    outer.on("data", (bytes) => {
      if (cuts > 0) {
        cuts--;
        outer.destroy();
        return;
      }
      if (inner.write(bytes)) return;
      outer.pause();
      inner.once("drain", () => outer.resume());
    });
    inner.pipe(outer);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    cut: (count: number) => void (cuts = count),
    async [Symbol.asyncDispose]() {
      for (const socketOpen of open) socketOpen.destroy();
      server.close();
    },
  };
}
