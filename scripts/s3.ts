/** An S3-compatible server for tests and the bench. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Finds the program of versitygw, if it is installed. */
export function s3Program(): string | undefined {
  const go = process.env["GOPATH"] ?? join(homedir(), "go");
  const installed = join(process.env["GOBIN"] || join(go, "bin"), "versitygw");
  return Bun.which("versitygw") ?? (existsSync(installed) ? installed : undefined);
}
