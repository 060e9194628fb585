/** Logging in by a browser on this machine, which comes back to this program (RFC 8252). */
import { PogoError } from "#core/errors.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import type { Channel } from "#rpc/channel.ts";
import type { Context, Environment } from "./context.ts";
import { writeStderr } from "./output.ts";
import { plain } from "./sso-login.ts";

const loopback = "127.0.0.1";

/** Sends the browser to the provider, waits for it to come back, and returns the token. */
export async function logInByBrowser(
  context: Context,
  channel: Channel,
  tokenName: string,
): Promise<string> {
  const { signal } = context;
  using listener = listenForBrowser();
  const { port } = listener;
  const started = await channel.unary(Users.startBrowserSso, { port }, { signal });
  const { handle, address, state, expiresAt } = started;
  const answered = listener.answer(state);
  openBrowser(context.environment, checkAddress(address));
  writeStderr(`log in at ${plain(address)}, in a browser on this machine\n`);
  const answer = await inTime(answered, expiresAt, signal);
  const request = { handle, answer, tokenName };
  return (await channel.unary(Users.finishBrowserSso, request, { signal })).secret;
}

/** Listens where no other machine reaches it, until it is disposed of. */
function listenForBrowser() {
  let expected: { state: string; resolve: (answer: string) => void } | undefined;
  const server = Bun.serve({
    hostname: loopback,
    port: 0,
    development: false,
    fetch({ method, url }) {
      const { host, pathname, search, searchParams } = new URL(url);
      // Under another name it is a page that had its own resolved to this machine.
      const isOurs = host === `${loopback}:${server.port}` && pathname === "/callback";
      if (!isOurs || method !== "GET") return page(404, "There is nothing here.");
      if (!expected || searchParams.get("state") !== expected.state) {
        // Whoever made the browser ask this ends nothing by it.
        return page(400, "This is not the login that pogo waits for.");
      }
      expected.resolve(search);
      return page(200, "Pogo has its answer: go back to the terminal.");
    },
  });
  return {
    port: server.port ?? 0,
    /** The query that the browser comes back with. */
    answer(state: string): Promise<string> {
      return new Promise((resolve) => (expected = { state, resolve }));
    },
    [Symbol.dispose]: () => void server.stop(true),
  };
}

function page(status: number, text: string): Response {
  const headers = {
    "content-type": "text/plain; charset=utf-8",
    "content-security-policy": "default-src 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    connection: "close",
  };
  return new Response(`${text}\n`, { status, headers });
}

async function inTime<T>(
  awaited: Promise<T>,
  expiresAt: number,
  interruption: AbortSignal,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const stop = () => reject(interruption.reason);
  const expire = () => {
    const hint = "begin again; without a browser on this machine: pogo login URL --sso";
    reject(new PogoError("denied", "nobody logged in in time", { hint }));
  };
  const timer = setTimeout(expire, Math.max(0, expiresAt - Date.now()));
  interruption.addEventListener("abort", stop);
  if (interruption.aborted) stop();
  try {
    return await Promise.race([awaited, late]);
  } finally {
    clearTimeout(timer);
    interruption.removeEventListener("abort", stop);
  }
}

/** Refuses what a browser, or whatever else the system has, would open that is no page. */
function checkAddress(address: string): string {
  const url = URL.parse(address);
  if (url && /^https?:$/.test(url.protocol)) return url.href;
  throw new PogoError("unavailable", "the server does not say where to log in");
}

/** Opens a page if there is anything to open it with; it is said where it is in any case. */
function openBrowser(environment: Environment, address: string): void {
  const hasScreen = environment["DISPLAY"] || environment["WAYLAND_DISPLAY"];
  const commands: Record<string, string[]> = {
    darwin: ["open", address],
    // A shell would take the address apart.
    win32: ["rundll32", "url.dll,FileProtocolHandler", address],
    linux: hasScreen ? ["xdg-open", address] : [],
  };
  const [program = "", ...words] = commands[process.platform] ?? [];
  const path = Bun.which(program, { PATH: environment["PATH"] ?? "" });
  if (path === null) return;
  Bun.spawn([path, ...words], { stdio: ["ignore", "ignore", "ignore"] }).unref();
}
