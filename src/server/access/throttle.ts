/**
 * Makes guessing slow, and flooding pointless. Whoever is refused again and again, without ever
 * having said who it is, waits for each answer. Whoever calls oftener than any program has reason
 * to is told when to come back. What is counted belongs to one address or one token, so that
 * nobody is locked out by somebody else.
 */
import { isIPv6 } from "node:net";

import { PogoError } from "#core/errors.ts";
import {
  callersRememberedMax,
  callRetryMs,
  callsPerAddress,
  callsPerToken,
  guessDelayMsMax,
  guessDelayStepMs,
  guessesForgottenMs,
  guessesFree,
} from "#core/limits.ts";

/** Calls that may come at once, and how fast that many may come again. */
export type CallRate = { burst: number; perSecond: number };

export type CallRates = { address: CallRate; token: CallRate };

export type Throttle = {
  /** How long the answer to a failure is to wait, in milliseconds. */
  delayMs(address: string, nowMs: number): number;
  /**
   * Counts a call of an address or a token, and says how long it is to wait for its turn. One that
   * would wait longer than it may is refused, and does not count.
   */
  turnMs(kind: keyof CallRates, caller: string, nowMs: number, waitMsMax: number): number;
};

const ratesUnlessSaid: CallRates = { address: callsPerAddress, token: callsPerToken };
// Behind a proxy that is not trusted to say who calls, everybody does from there.
const loopback = /^(127\.|::1$|unknown$)/;

/** Makes one, with nobody in it. */
export function openThrottle(
  rates = ratesUnlessSaid,
  rememberedMax = callersRememberedMax,
): Throttle {
  const failures = new Map<string, { count: number; lastMs: number }>();
  const buckets = {
    address: new Map<string, { left: number; lastMs: number }>(),
    token: new Map<string, { left: number; lastMs: number }>(),
  };

  /** Notes what is newest last, and forgets who has not called for the longest time. */
  function note<Known>(known: Map<string, Known>, key: string, value: Known): void {
    known.delete(key);
    known.set(key, value);
    if (known.size > rememberedMax) known.delete(known.keys().next().value!);
  }

  return {
    delayMs(address, nowMs) {
      if (loopback.test(address)) return 0;
      const network = networkOf(address);
      const known = failures.get(network);
      const isRecent = known !== undefined && nowMs - known.lastMs < guessesForgottenMs;
      const count = (isRecent ? known.count : 0) + 1;
      note(failures, network, { count, lastMs: nowMs });
      return Math.min(Math.max(0, count - guessesFree) * guessDelayStepMs, guessDelayMsMax);
    },

    turnMs(kind, caller, nowMs, waitMsMax) {
      if (kind === "address" && loopback.test(caller)) return 0;
      const { burst, perSecond } = rates[kind];
      const key = kind === "address" ? networkOf(caller) : caller;
      const known = buckets[kind].get(key) ?? { left: burst, lastMs: nowMs };
      const returnedCount = ((nowMs - known.lastMs) * perSecond) / 1000;
      const left = Math.min(burst, known.left + returnedCount) - 1;
      const waitMs = left >= 0 ? 0 : Math.ceil((-left / perSecond) * 1000);
      const isRefused = waitMs > waitMsMax;
      note(buckets[kind], key, { left: isRefused ? left + 1 : left, lastMs: nowMs });
      if (!isRefused) return waitMs;
      const retryMs = Math.max(callRetryMs, waitMs);
      const seconds = Math.ceil(retryMs / 1000);
      throw new PogoError("unavailable", `too many calls by this ${kind}: again in ${seconds} s`, {
        hint: "wait, then run the command again",
        retryMs,
      });
    },
  };
}

/** Who has an address of IPv6 has all that share its first half. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail ? tail.split(":").length : 0;
  if (tail !== undefined) while (groups.length + after < 8) groups.push("0");
  return groups
    .concat(tail ? tail.split(":") : [])
    .slice(0, 4)
    .join(":");
}
