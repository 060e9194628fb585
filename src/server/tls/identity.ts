/** Where a server's certificate comes from, and what happens when it is replaced there. */
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";

import { PogoError } from "#core/errors.ts";
import { certificateWatchMs } from "#core/limits.ts";
import type { ServerIdentity } from "#rpc/listen.ts";
import { derOf, fingerprintOf } from "#rpc/trust.ts";
import { selfSign } from "./self-signed.ts";

/** Files in PEM, or a certificate that the server makes itself. */
export type TlsOptions = { cert: string; key: string } | "self-signed";

export type TlsSource = {
  identity: ServerIdentity;
  /** For clients to compare. */
  fingerprint: string;
  isSelfSigned: boolean;
  /** Gives each certificate that takes the place of the last one; a broken one does not. */
  watch(replace: (identity: ServerIdentity) => void, periodMs?: number): Disposable;
};

/** Opens what the options say. A certificate that the server made before is taken again. */
export async function openTls(
  options: TlsOptions,
  { directory, host }: { directory: string; host: string },
): Promise<TlsSource> {
  const isSelfSigned = options === "self-signed";
  const files = isSelfSigned ? await ownFiles(join(directory, "tls"), host) : options;
  const identity = readIdentity(files);
  return {
    identity,
    fingerprint: fingerprintOf(derOf(identity.cert)),
    isSelfSigned,
    watch(replace, periodMs = certificateWatchMs) {
      let known = stampOf(files);
      // Certificates are replaced by renaming, by links and in place: looking finds all of it.
      const timer = setInterval(() => {
        const stamp = stampOf(files);
        if (stamp === known || stamp === undefined) return;
        try {
          replace(readIdentity(files));
          known = stamp;
        } catch {
          // Half of the pair is there: the other half changes the stamp again.
        }
      }, periodMs);
      timer.unref();
      return { [Symbol.dispose]: () => clearInterval(timer) };
    },
  };
}

function readIdentity(files: { cert: string; key: string }): ServerIdentity {
  try {
    const identity = {
      cert: readFileSync(files.cert, "utf8"),
      key: readFileSync(files.key, "utf8"),
    };
    createSecureContext(identity);
    return identity;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `cannot use the certificate ${files.cert} with the key ${files.key}: ${why}`;
    throw new PogoError("usage", message, { cause });
  }
}

async function ownFiles(directory: string, host: string): Promise<{ cert: string; key: string }> {
  const files = { cert: join(directory, "certificate.pem"), key: join(directory, "key.pem") };
  if (existsSync(files.cert) && existsSync(files.key)) return files;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { cert, key } = await selfSign(host);
  write(files.key, key, 0o600);
  write(files.cert, cert, 0o644);
  return files;
}

function write(path: string, text: string, mode: number): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text, { mode, flush: true });
  renameSync(draft, path);
}

/** Differs when the files do; nothing while one of them is gone. */
function stampOf(files: { cert: string; key: string }): string | undefined {
  const stamps = [files.cert, files.key].map((path) => {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats && `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
  });
  return stamps.includes(undefined) ? undefined : stamps.join(", ");
}
