/**
 * How the way to a database is protected: on this machine by the machine, elsewhere by TLS with a
 * certificate that is verified. The modes are those of PostgreSQL's own programs, but for the ones
 * that whoever stands in between could talk out of it.
 */
import { readFileSync } from "node:fs";
import { checkServerIdentity, rootCertificates, type PeerCertificate } from "node:tls";

import { PogoError } from "#core/errors.ts";
import { isLoopback } from "#core/loopback.ts";

const verified = ["require", "verify-ca", "verify-full"];

/** What the driver is told: nothing is not encrypted. */
export type DatabaseTls = {
  ca: string;
  rejectUnauthorized: true;
  checkServerIdentity(asked: string, shown: PeerCertificate): Error | undefined;
};

/** Reads the mode from a database's URL, and takes it out of it. */
export function readDatabaseTls(url: URL): DatabaseTls | undefined {
  const mode = url.searchParams.get("sslmode");
  const rootsFile = url.searchParams.get("sslrootcert");
  const isLocal = url.hostname === "" || url.searchParams.has("host") || isLoopback(url.hostname);
  url.searchParams.delete("sslmode");
  url.searchParams.delete("sslrootcert");
  if (mode === "disable" || (mode === null && isLocal)) return undefined;
  if (mode !== null && !verified.includes(mode)) {
    throw new PogoError("usage", `sslmode=${mode} lets others read along`, {
      hint: "use sslmode=verify-full, or sslmode=disable on a network that you trust",
    });
  }
  const own = rootsFile === null || rootsFile === "system" ? [] : [readRoots(rootsFile)];
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return {
    ca: [...rootCertificates, ...own].join("\n"),
    rejectUnauthorized: true,
    // The driver does not say which address it asked.
    checkServerIdentity: (_asked, shown) => checkServerIdentity(host, shown),
  };
}

/** Tells of a way that could not be protected; nothing when that was not the reason. */
export function tlsProblem(error: Error & { code?: unknown }): PogoError | undefined {
  const { message, code } = error;
  const isDistrust = /CERT|ALTNAME|SELF_SIGNED|UNABLE_TO/.test(String(code));
  const isRefused = /^ERR_SSL|WRONG_VERSION_NUMBER/.test(String(code));
  if (!isDistrust && !isRefused) return undefined;
  const why = isDistrust ? `its certificate is not trusted: ${message}` : message;
  return new PogoError("usage", `no secure connection to the database: ${why}`, {
    hint: "add ?sslrootcert=FILE to its URL, or sslmode=disable on a network that you trust",
    cause: error,
  });
}

function readRoots(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new PogoError("usage", `sslrootcert names ${path}, which cannot be read`, { cause });
  }
}
