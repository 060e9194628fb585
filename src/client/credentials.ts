/**
 * The token for a server. It comes from POGO_TOKEN, or from where `pogo login` put it: the system's
 * keyring or, only if that was asked for, a file. It is never printed and never in a command line,
 * and one place never stands in for another in silence.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { PogoError } from "#core/errors.ts";
import { tokenBytesMax } from "#core/limits.ts";
import type { Trust } from "#rpc/trust.ts";
import {
  configDirectory,
  readPrivate,
  readServers,
  type ServerEntry,
  type Environment,
  type TokenPlace,
  writePrivate,
  writeServer,
} from "./config.ts";

export type Credentials = {
  token: string | undefined;
  allowInsecure: boolean;
  /** Whose certificates are believed. */
  trust: Trust;
  /** Where the token comes from. */
  source?: TokenPlace | "environment" | undefined;
};

const service = "pogo";

/** Finds the token for a server, and whether it may be spoken to without encryption. */
export async function findToken({
  server,
  environment,
}: {
  server: string;
  environment: Environment;
}): Promise<Credentials> {
  const origin = originOf(server);
  const directory = configDirectory(environment);
  const entry = readServers(directory)[origin];
  const allowInsecure = entry?.insecureHttp === true || environment["POGO_INSECURE_HTTP"] === "1";
  const trust = { roots: moreRoots(environment, origin), certificate: entry?.certificate };
  const token = environmentToken(origin, environment);
  if (token !== undefined) return { token, allowInsecure, trust, source: "environment" };
  if (!entry) return { token: undefined, allowInsecure, trust };
  const stored = await storeFor(entry.place, directory).get(origin);
  return { token: stored, allowInsecure, trust, source: entry.place };
}

/** Keeps a token where the user wants it, and forgets where another one was kept. */
export async function saveToken(
  environment: Environment,
  given: ServerEntry & { server: string; token: string },
): Promise<void> {
  const { user, token, place, insecureHttp, certificate } = given;
  const origin = originOf(given.server);
  const directory = configDirectory(environment);
  const before = readServers(directory)[origin];
  await storeFor(place, directory).put(origin, token);
  writeServer(directory, origin, {
    user,
    place,
    ...(insecureHttp && { insecureHttp }),
    ...(certificate !== undefined && { certificate }),
  });
  if (before && before.place !== place) await storeFor(before.place, directory).delete(origin);
}

/** Refuses a place in which no token could be kept now. */
export async function checkPlace(
  environment: Environment,
  { server, place }: { server: string; place: TokenPlace },
): Promise<void> {
  await storeFor(place, configDirectory(environment)).get(originOf(server));
}

/** Removes the token for a server; false if there is none. */
export async function forgetToken(environment: Environment, server: string): Promise<boolean> {
  const origin = originOf(server);
  const directory = configDirectory(environment);
  const entry = readServers(directory)[origin];
  if (!entry) return false;
  await storeFor(entry.place, directory).delete(origin);
  writeServer(directory, origin);
  return true;
}

/** Whose certificates are believed for a server, whether or not the user logged in to it. */
export function readTrust(environment: Environment, server: string): Trust {
  const origin = originOf(server);
  const entry = readServers(configDirectory(environment))[origin];
  return { roots: moreRoots(environment, origin), certificate: entry?.certificate };
}

/** The file that tokens are in which are kept in one. */
export function tokensFile(environment: Environment): string {
  return tokensPath(configDirectory(environment));
}

/** Servers that the user logged in to. */
export function knownServers(environment: Environment): string[] {
  return Object.keys(readServers(configDirectory(environment)));
}

/** Refuses what cannot be a token, without repeating it. */
export function checkToken(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token) && token.length <= tokenBytesMax) return token;
  throw new PogoError(
    "usage",
    "this is not a token: it is empty or holds other than visible ASCII",
  );
}

/** POGO_TOKEN, unless POGO_SERVER says that it is meant for another server. */
function environmentToken(origin: string, environment: Environment): string | undefined {
  const { POGO_TOKEN: token, POGO_SERVER: server } = environment;
  if (!token || (server && originOf(server) !== origin)) return undefined;
  return checkToken(token);
}

/** Authorities beside the usual ones, as other programs are told of them too. */
function moreRoots(environment: Environment, origin: string): string | undefined {
  const path = environment["SSL_CERT_FILE"];
  if (!path || !origin.startsWith("https:")) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const message = `SSL_CERT_FILE names ${path}, which cannot be read`;
    throw new PogoError("usage", message, { cause });
  }
}

type TokenStore = {
  get(origin: string): Promise<string | undefined>;
  put(origin: string, token: string): Promise<void>;
  delete(origin: string): Promise<void>;
};

function storeFor(place: TokenPlace, directory: string): TokenStore {
  return place === "file" ? fileStore(directory) : keyringStore();
}

function keyringStore(): TokenStore {
  const entry = async (origin: string) => {
    const { AsyncEntry } = await import("@napi-rs/keyring");
    // Without this, Linux falls back to the kernel's keyring, which a restart empties.
    return new AsyncEntry(service, origin, { linux: { store: "secret-service" } });
  };
  return {
    get: (origin) => asking(async () => (await (await entry(origin)).getPassword()) ?? undefined),
    put: (origin, token) => asking(async () => (await entry(origin)).setPassword(token)),
    delete: (origin) => asking(async () => void (await (await entry(origin)).deleteCredential())),
  };
}

async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new PogoError("unavailable", "the system's keyring does not answer", {
      hint: "set POGO_TOKEN, or keep the token in a file: pogo login --store file",
      cause,
    });
  }
}

function fileStore(directory: string): TokenStore {
  const path = tokensPath(directory);
  const read = () => {
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw new PogoError("denied", `others may read the tokens in ${path}`, {
        hint: `chmod 600 ${path}`,
      });
    }
    return readPrivate<string>(path);
  };
  return {
    get: async (origin) => read()[origin],
    async put(origin, token) {
      writePrivate(path, { ...read(), [origin]: token });
    },
    async delete(origin) {
      const { [origin]: _, ...others } = read();
      writePrivate(path, others);
    },
  };
}

function originOf(server: string): string {
  return URL.parse(server)?.origin ?? server;
}

function tokensPath(directory: string): string {
  return join(directory, "tokens.json");
}
