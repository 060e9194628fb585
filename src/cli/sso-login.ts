/** Logging in by a provider of identities: the user confirms a code in a browser. */
import { PogoError } from "#core/errors.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import type { Channel } from "#rpc/channel.ts";
import type { Context } from "./context.ts";
import { writeStderr } from "./output.ts";

/** Tells the user where to confirm, and waits until that is done; returns the token. */
export async function logInBySso(
  context: Context,
  channel: Channel,
  tokenName: string,
): Promise<string> {
  const { signal } = context;
  const started = await channel.unary(Users.startSso, {}, { signal });
  const { handle, userCode, verificationUri, intervalSeconds, expiresAt } = started;
  // Also for whoever wants to hear nothing: nothing would happen.
  const address = started.verificationUriComplete || verificationUri;
  writeStderr(`open ${plain(address)} and confirm the code ${plain(userCode)}\n`);
  while (Date.now() < expiresAt) {
    const request = { handle, tokenName };
    const { pending, secret } = await channel.unary(Users.finishSso, request, { signal });
    if (!pending) return secret;
    await Bun.sleep(Math.max(1, intervalSeconds) * 1000);
    signal.throwIfAborted();
  }
  throw new PogoError("denied", "nobody confirmed the code in time", { hint: "begin again" });
}

/** Addresses and codes hold nothing that a terminal could obey. */
export function plain(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, "");
}
