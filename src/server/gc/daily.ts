/** Collecting garbage every day, by whichever of the servers gets to it. */
import type { Sql } from "../db/connect.ts";
import { claimUpkeep } from "../db/upkeep.ts";
import type { ObjectStore } from "../store/store.ts";
import { collect, collectDefaults } from "./collect.ts";

const dayMs = 24 * 60 * 60 * 1000;
const lookMs = 60 * 60 * 1000;
// A server that is only tried out is gone before.
const firstLookMs = 5 * 60 * 1000;

/**
 * Looks from time to time whether a day has passed, and collects then, until it is disposed of.
 * A failure is told, and tried again the day after.
 */
export function collectDaily(
  parts: { sql: Sql; store: ObjectStore },
  observe: (end: { elapsedMs: number; error?: unknown }) => void,
): AsyncDisposable {
  const closing = new AbortController();
  let timer = setTimeout(look, firstLookMs).unref();
  let running = Promise.resolve();

  function look(): void {
    running = collectIfDue().finally(() => {
      if (!closing.signal.aborted) timer = setTimeout(look, lookMs).unref();
    });
  }

  async function collectIfDue(): Promise<void> {
    const begunMs = performance.now();
    const elapsedMs = () => performance.now() - begunMs;
    try {
      if (!(await claimUpkeep(parts.sql, "collect", dayMs))) return;
      const options = { ...collectDefaults, signal: closing.signal };
      for await (const _ of collect(parts, options));
      observe({ elapsedMs: elapsedMs() });
    } catch (error) {
      if (!closing.signal.aborted) observe({ elapsedMs: elapsedMs(), error });
    }
  }

  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
