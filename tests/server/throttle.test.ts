import { expect, setDefaultTimeout, test } from "bun:test";

import { AuditServiceService as Audit } from "#gen/pogo/v1/audit.ts";
import type { PogoError } from "#core/errors.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { openThrottle } from "#server/access/throttle.ts";
import { publish } from "../support/publish.ts";
import { openRawClient } from "../support/raw-client.ts";
import { engines, startMs } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, testRootToken } from "../support/server.ts";

const engine = engines[0]!;
setDefaultTimeout(startMs);

test("who is refused again and again waits longer and longer, and nobody else does", () => {
  const throttle = openThrottle();
  const delays = Array.from({ length: 14 }, () => throttle.delayMs("10.0.0.1", 0));
  expect(delays).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300, 400]);
  expect(throttle.delayMs("10.0.0.2", 0)).toBe(0);
  for (let time = 0; time < 100; time++) throttle.delayMs("10.0.0.1", 0);
  expect(throttle.delayMs("10.0.0.1", 59_999)).toBe(2000);
  expect(throttle.delayMs("10.0.0.1", 59_999 + 60_000)).toBe(0);
});

test("who calls through a trusted proxy is throttled and noted by the own address", async () => {
  await using server = await startTestServer(engine, { trustedProxies: ["127.0.0.1"] });
  const guess = async (address: string, token: string) => {
    using client = openRawClient(server.server.url, token, { "x-forwarded-for": address });
    const startedMs = performance.now();
    const { code } = await client.unary(Auth.getUser, {});
    return { code, isSlow: performance.now() - startedMs >= 100 };
  };
  const wrong = "pogo_a-token-that-nobody-was-given";
  for (let time = 0; time < 10; time++) await guess("198.51.100.1", wrong);
  expect(await guess("6.6.6.6, 198.51.100.1", wrong)).toEqual({ code: "denied", isSlow: true });
  // A guess that is right is answered like any other call.
  expect((await guess("198.51.100.1", testRootToken)).code).toBe("ok");
  const root = server.channel(testRootToken);
  const pages = root.serverStream(Audit.listAuditEvents, { since: 0, user: "", limit: 0 });
  const events = (await Array.fromAsync(pages)).flatMap((page) => page.events);
  expect(events.filter(({ allowed }) => !allowed)).toMatchObject([{ address: "198.51.100.1" }]);
});

test("whoever calls from the machine itself does not wait: it may be a proxy", () => {
  const throttle = openThrottle();
  for (let time = 0; time < 100; time++) expect(throttle.delayMs("127.0.0.1", 0)).toBe(0);
});

test("calls have a burst and a rate, by token and by network, and refused ones do not count", () => {
  const rate = { burst: 3, perSecond: 10 };
  const throttle = openThrottle({ address: rate, token: rate }, 4);
  const turn = (kind: "address" | "token", caller: string, nowMs: number, waitMsMax = 0) => {
    try {
      return throttle.turnMs(kind, caller, nowMs, waitMsMax);
    } catch (error) {
      const { code, retryMs } = error as PogoError;
      return `${code}, again in ${retryMs} ms`;
    }
  };
  const turns = (count: number, kind: "address" | "token", caller: string, nowMs: number) =>
    Array.from({ length: count }, () => turn(kind, caller, nowMs));
  const refused = "unavailable, again in 1000 ms";
  expect(turns(5, "token", "1", 0)).toEqual([0, 0, 0, refused, refused]);
  expect(turns(1, "token", "2", 0)).toEqual([0]);
  expect(turns(2, "token", "1", 100)).toEqual([0, refused]);
  // What waits for its turn stands in a queue, which has an end.
  const waits = Array.from({ length: 4 }, () => turn("token", "1", 100, 300));
  expect(waits).toEqual([100, 200, 300, refused]);
  expect(turns(4, "token", "1", 10_000)).toEqual([0, 0, 0, refused]);
  // The half of an address of IPv6 that a provider gives to one customer is one caller.
  for (const address of ["2001:db8::1", "2001:db8:0:0:9::9", "2001:db8::ffff:7"]) {
    expect(turn("address", address, 0)).toBe(0);
  }
  expect(turn("address", "2001:db8::1", 0)).toBe(refused);
  expect(turn("address", "2001:db8:0:1::1", 0)).toBe(0);
  expect(turns(5, "address", "127.0.0.1", 0)).toEqual([0, 0, 0, 0, 0]);
  // Only so many are remembered: who called last.
  for (const token of ["3", "4", "5", "6"]) turn("token", token, 10_000);
  expect(turn("token", "1", 10_000)).toBe(0);
});

test("who calls too often is told when to come back, and a client does by itself", async () => {
  const few = { burst: 8, perSecond: 4 };
  await using server = await startTestServer(engine, {
    callRates: { address: few, token: few },
  });
  const root = server.channel(testRootToken);
  const remote = await createRemote(root, "one");
  using raw = openRawClient(server.server.url, testRootToken);
  const exhaust = async () => {
    const calls = Array.from({ length: 16 }, () => raw.unary(Auth.getUser, {}));
    return (await Promise.all(calls)).filter(({ code }) => code !== "ok");
  };
  const refused = await exhaust();
  expect(refused.length).toBeGreaterThan(0);
  for (const { code, message } of refused) {
    expect(`${code}: ${message}`).toBe("unavailable: too many calls by this token: again in 1 s");
  }
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: 10 }, () => root.unary(Auth.getUser, {})));
  expect(performance.now() - startedMs).toBeGreaterThan(900);
  await exhaust();
  const pages = root.serverStream(Audit.listAuditEvents, { since: 0, user: "", limit: 1 });
  await Array.fromAsync(pages);
  await exhaust();
  await publish(remote, { file: "contents" });
  // Whoever gives up has not to wait to the end: of more calls than there may be, some wait.
  const givingUp = new AbortController();
  const calls = Array.from({ length: 24 }, () => {
    return refusal(root.unary(Auth.getUser, {}, { signal: givingUp.signal }));
  });
  await Promise.race(calls);
  const givenUpMs = performance.now();
  givingUp.abort();
  expect(await Promise.all(calls)).toContain("unavailable");
  expect(performance.now() - givenUpMs).toBeLessThan(900);
});
