import { expect, setDefaultTimeout, test } from "bun:test";

import { AuditServiceService as Audit } from "#gen/pogo/v1/audit.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { openThrottle } from "#server/access/throttle.ts";
import { openRawClient } from "../support/raw-client.ts";
import { startMs } from "../support/postgres.ts";
import { startTestServer, testRootToken } from "../support/server.ts";

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
  await using server = await startTestServer("embedded", { trustedProxies: ["127.0.0.1"] });
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
