/** A thread that decodes and writes files; see contents-writer.ts. */
import { parentPort } from "node:worker_threads";
import { isPogoError } from "#core/errors.ts";
import { writeContent, type WriteAnswer, type WriteRequest } from "./contents-writer.ts";

parentPort?.on("message", (request: WriteRequest) => parentPort?.postMessage(answer(request)));

function answer({ id, contents }: WriteRequest): WriteAnswer {
  try {
    return { id, stats: contents.map(writeContent) };
  } catch (error) {
    if (!isPogoError(error)) return { id, bug: String((error as Error).stack ?? error) };
    const { code, message, hint } = error;
    return { id, failure: { code, message, hint } };
  }
}
