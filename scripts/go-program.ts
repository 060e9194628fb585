/** Servers for tests and the bench that are installed by `go install`. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Finds a program, if it is installed. */
export function goProgram(name: string): string | undefined {
  const go = process.env["GOPATH"] ?? join(homedir(), "go");
  const installed = join(process.env["GOBIN"] || join(go, "bin"), name);
  return Bun.which(name) ?? (existsSync(installed) ? installed : undefined);
}
