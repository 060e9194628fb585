const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/;

/** Tells whether a host, as written in an address, can only be this machine: nobody listens in. */
export function isLoopback(host: string): boolean {
  return loopback.test(host);
}
