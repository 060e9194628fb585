/** An S3-compatible server for tests and the bench. */
import { goProgram } from "./go-program.ts";

/** Finds the program of versitygw, if it is installed. */
export function s3Program(): string | undefined {
  return goProgram("versitygw");
}
