/**
 * Makes guessing slow: whoever is refused again and again, without ever having said who it is,
 * waits for each answer. Nobody else does, so that nobody is locked out by somebody else.
 */
import {
  callersRememberedMax,
  guessDelayMsMax,
  guessDelayStepMs,
  guessesForgottenMs,
  guessesFree,
} from "#core/limits.ts";

export type Throttle = {
  /** How long the answer to a failure is to wait, in milliseconds. */
  delayMs(address: string, nowMs: number): number;
};

// Behind a proxy that is not trusted to say who calls, everybody does from there.
const loopback = /^(127\.|::1$|unknown$)/;

/** Makes one, with nobody in it. */
export function openThrottle(): Throttle {
  const failures = new Map<string, { count: number; lastMs: number }>();
  return {
    delayMs(address, nowMs) {
      if (loopback.test(address)) return 0;
      const known = failures.get(address);
      const isRecent = known !== undefined && nowMs - known.lastMs < guessesForgottenMs;
      const count = (isRecent ? known.count : 0) + 1;
      if (failures.size >= callersRememberedMax) failures.clear();
      failures.set(address, { count, lastMs: nowMs });
      return Math.min(Math.max(0, count - guessesFree) * guessDelayStepMs, guessDelayMsMax);
    },
  };
}
