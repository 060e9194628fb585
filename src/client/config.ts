/** What Pogo remembers about servers: `servers.json` in the user's configuration directory. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { PogoError } from "#core/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where a token is kept. */
export type TokenPlace = "keyring" | "file";

/** What a login leaves behind, but for the token itself. */
export type ServerEntry = {
  user: string;
  place: TokenPlace;
  /** The user said that this server may be spoken to without encryption. */
  insecureHttp?: boolean | undefined;
  /** The certificate that the user said is the server's, in PEM. */
  certificate?: string | undefined;
};

const privateFile = 0o600;
const privateDirectory = 0o700;

/** Directory of the user's configuration. */
export function configDirectory(environment: Environment): string {
  const home = environment["HOME"] || homedir();
  if (process.platform === "win32") {
    return join(environment["APPDATA"] || join(home, "AppData", "Roaming"), "pogo");
  }
  return join(environment["XDG_CONFIG_HOME"] || join(home, ".config"), "pogo");
}

/** Servers that the user logged in to, by origin. */
export function readServers(directory: string): Record<string, ServerEntry> {
  return readPrivate<ServerEntry>(join(directory, "servers.json"));
}

/** Remembers a server, or forgets it when there is no entry. */
export function writeServer(directory: string, origin: string, entry?: ServerEntry): void {
  const { [origin]: _, ...others } = readServers(directory);
  const servers = entry ? { ...others, [origin]: entry } : others;
  writePrivate(join(directory, "servers.json"), servers);
}

/** Reads an object from a JSON file; there being none is an empty object. */
export function readPrivate<T>(path: string): Record<string, T> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, T>;
    }
  } catch {
    // Told below, without a quotation: it may hold a token.
  }
  throw new PogoError("corrupt", `${path} is not a JSON object`, {
    hint: "mend the file, or remove it and run pogo login again",
  });
}

/** Writes an object that only its owner may read: whole, or not at all. */
export function writePrivate(path: string, value: object): void {
  mkdirSync(join(path, ".."), { recursive: true, mode: privateDirectory });
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, `${JSON.stringify(value, undefined, 2)}\n`, {
      mode: privateFile,
      flag: "wx",
      flush: true,
    });
    // The mode of `open` is subject to the umask, which may only take away.
    chmodSync(draft, privateFile);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
