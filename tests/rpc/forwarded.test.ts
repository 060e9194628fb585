import { expect, test } from "bun:test";

import { readAddresses } from "#rpc/forwarded.ts";

test("what is forwarded is believed of those who are trusted, and of nobody else", () => {
  const read = readAddresses(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);
  const cases: [peer: string, forwarded: string[], address: string][] = [
    ["127.0.0.1", [], "127.0.0.1"],
    ["::1", [], "::1"],
    ["::ffff:192.0.2.1", [], "192.0.2.1"],
    ["192.0.2.1", ["198.51.100.1"], "192.0.2.1"],
    ["127.0.0.1", ["198.51.100.1"], "198.51.100.1"],
    ["127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"],
    ["127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.1.2.3"], "198.51.100.1"],
    ["127.0.0.1", ["6.6.6.6", "198.51.100.1:99", "[fd00::7]:8080"], "198.51.100.1"],
    ["127.0.0.1", ["2001:db8::1, 10.0.0.1"], "2001:db8::1"],
    ["127.0.0.1", ["10.9.9.9"], "10.9.9.9"],
    ["127.0.0.1", ["nonsense\u001b[31m"], "127.0.0.1"],
    ["127.0.0.1", ["198.51.100.1, unknown"], "127.0.0.1"],
    ["127.0.0.1", [""], "127.0.0.1"],
  ];
  for (const [peer, forwarded, address] of cases) {
    expect([peer, forwarded, read(peer, forwarded)]).toEqual([peer, forwarded, address]);
  }
});

test("without proxies that are trusted nothing is", () => {
  expect(readAddresses([])("127.0.0.1", ["198.51.100.1"])).toBe("127.0.0.1");
});

test("what is no address of a proxy is refused", () => {
  for (const proxy of ["", "proxy", "10.0.0.0/33", "::/129", "10.0.0.0/8/8", "10.0.0.0/x"]) {
    expect(() => readAddresses([proxy])).toThrow("is no address of a proxy");
  }
});
