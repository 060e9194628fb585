/** What is done every day, by whichever of the servers gets to it. */
import { PogoError } from "#core/errors.ts";
import { auditKeptMsUnlessSaid, dayMs } from "#core/limits.ts";
import { pruneAudit } from "../db/audit.ts";
import { claimUpkeep } from "../db/upkeep.ts";
import { sweepObliterated } from "../services/obliterate.ts";
import { collect, collectOptions } from "./collect.ts";
import type { Stored } from "./repair.ts";
import { verifyObjects } from "./verify.ts";

const lookMs = 60 * 60 * 1000;
// A server that is only tried out is gone before.
const firstLookUnlessSaidMs = 5 * 60 * 1000;
// In a month most objects were read, and what was damaged is known while there is a copy.
const scrubbedShare = 1 / 30;

type End = {
  what: "audit" | "obliterate" | "collect" | "scrub";
  elapsedMs: number;
  error?: unknown;
};

/**
 * Looks from time to time whether a day has passed; lets go of old audit events, collects garbage
 * and reads a share of the objects then, until it is disposed of. A failure is told, and tried
 * again the day after.
 */
export function openUpkeep(
  parts: Stored & { retentionMs?: number | undefined; auditKeptMs?: number | undefined },
  observe: (end: End) => void,
  { firstLookMs = firstLookUnlessSaidMs }: { firstLookMs?: number } = {},
): AsyncDisposable {
  const closing = new AbortController();
  const { signal } = closing;
  let timer = setTimeout(look, firstLookMs).unref();
  let running = Promise.resolve();

  function look(): void {
    running = doDue().finally(() => {
      if (!signal.aborted) timer = setTimeout(look, lookMs).unref();
    });
  }

  async function doDue(): Promise<void> {
    // Every server by itself: each has a cache.
    await tell("obliterate", () => sweepObliterated(parts.sql, parts.store));
    await doIfDue("audit", async () => {
      await pruneAudit(parts.sql, parts.auditKeptMs ?? auditKeptMsUnlessSaid);
    });
    await doIfDue("collect", async () => {
      for await (const _ of collect(parts, { ...collectOptions(parts.retentionMs), signal }));
    });
    await doIfDue("scrub", () => scrub(parts, signal));
  }

  async function doIfDue(what: End["what"], work: () => Promise<void>): Promise<void> {
    const begunMs = performance.now();
    const elapsedMs = () => performance.now() - begunMs;
    try {
      if (signal.aborted || !(await claimUpkeep(parts.sql, what, dayMs))) return;
      await work();
      observe({ what, elapsedMs: elapsedMs() });
    } catch (error) {
      if (!signal.aborted) observe({ what, elapsedMs: elapsedMs(), error });
    }
  }

  /** Does something, and tells only of its failure. */
  async function tell(what: End["what"], work: () => Promise<void>): Promise<void> {
    await work().catch((error: unknown) => observe({ what, elapsedMs: 0, error }));
  }

  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      clearTimeout(timer);
      await running;
    },
  };
}

/** Reads a share of the objects. Damaged ones are noted by the store that they are read through. */
async function scrub(parts: Stored, signal: AbortSignal): Promise<void> {
  let count = 0;
  for await (const { findings } of verifyObjects(parts, { share: scrubbedShare })) {
    signal.throwIfAborted();
    count += findings.length;
  }
  if (count === 0) return;
  throw new PogoError("corrupt", `${count} objects are damaged`, { hint: "pogo verify --repair" });
}
