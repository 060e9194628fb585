/** Where a call comes from, when proxies that are trusted stand in between and say so. */
import { BlockList, isIP } from "node:net";

import { PogoError } from "#core/errors.ts";

/** Tells the address of a caller from that of the connection, and what proxies wrote. */
export type AddressReader = (peer: string, forwarded: readonly string[]) => string;

/** Addresses and networks of proxies, as ADDRESS or ADDRESS/BITS. */
export function readAddresses(proxies: readonly string[]): AddressReader {
  const trusted = new BlockList();
  for (const proxy of proxies) addProxy(trusted, proxy);
  const isTrusted = (address: string) => {
    const version = isIP(address);
    return version !== 0 && trusted.check(address, version === 6 ? "ipv6" : "ipv4");
  };
  return (peer, forwarded) => {
    // Each proxy adds at the end where it was called from: from there on back, as far as those
    // who wrote it are trusted.
    const hops = forwarded.flatMap((line) => line.split(",")).map(plainAddress);
    let address = plainAddress(peer);
    while (isTrusted(address)) {
      const before = hops.pop();
      if (before === undefined || isIP(before) === 0) break;
      address = before;
    }
    return address;
  };
}

function addProxy(trusted: BlockList, proxy: string): void {
  const [address = "", bits, ...more] = proxy.split("/");
  const version = isIP(address);
  const family = version === 6 ? "ipv6" : "ipv4";
  const most = version === 6 ? 128 : 32;
  const isWhole = bits === undefined;
  const isNetwork = !isWhole && /^\d{1,3}$/.test(bits) && Number(bits) <= most;
  if (version === 0 || !(isWhole || isNetwork) || more.length > 0) {
    throw new PogoError("usage", `${JSON.stringify(proxy)} is no address of a proxy`, {
      hint: "write it as 10.0.0.7 or 10.0.0.0/8; several with commas",
    });
  }
  if (isWhole) trusted.addAddress(address, family);
  else trusted.addSubnet(address, Number(bits), family);
}

/** An address without its port, its brackets, and what stands before an IPv4 one in IPv6. */
function plainAddress(text: string): string {
  const trimmed = text.trim();
  const bare = /^\[(.*)\](:\d+)?$/.exec(trimmed)?.[1] ?? trimmed;
  const host = isIP(bare) === 0 ? bare.replace(/:\d+$/, "") : bare;
  return host.replace(/^::ffff:(?=\d+\.)/i, "");
}
