import { isPogoError } from "#core/errors.ts";
import { streamTurnMsMax, tokenCheckedAgainMs } from "#core/limits.ts";
import type { Call, Handlers } from "#rpc/serve.ts";
import { openRefusals } from "../access/audit.ts";
import type { ObjectUrls } from "../access/object-urls.ts";
import { openThrottle, type CallRates } from "../access/throttle.ts";
import { admit, authenticate, type AskedCall, type Caller } from "../auth.ts";
import type { Directory } from "../directory/directory.ts";
import { translateDatabaseError, type Sql } from "../db/connect.ts";
import { isRequestDone } from "../db/operations.ts";
import type { Sso } from "../sso/sso.ts";
import type { WorkloadIssuers } from "../sso/workload.ts";
import type { DataKeys } from "../store/encrypted.ts";
import type { ObjectStore } from "../store/store.ts";

/** What every service works with. */
export type Parts = {
  sql: Sql;
  store: ObjectStore;
  /** What secrets are sealed with, if the operator has keys. */
  dataKeys?: DataKeys | undefined;
  directory?: Directory | undefined;
  sso?: Sso | undefined;
  issuers?: WorkloadIssuers | undefined;
  /** What signs where objects are to be had elsewhere. */
  objectUrls?: ObjectUrls | undefined;
  callRates?: CallRates | undefined;
  tokenCheckedMs?: number | undefined;
};

export type CallHandlers = ReturnType<typeof authenticated>;

/**
 * Makes handlers that know who calls instead of what the call carried. Who may not make the call
 * at all is refused before its handler hears of it.
 */
export function authenticated(
  { sql, callRates, tokenCheckedMs = tokenCheckedAgainMs }: Parts,
  handlers: Handlers,
) {
  const noteRefusal = openRefusals(sql);
  const throttle = openThrottle(callRates);

  /** One call: who makes it, and what its failure is to whoever hears of it. */
  function begin(call: AskedCall, request?: unknown) {
    let caller: Caller | undefined;

    /** Holds a call up until it is its turn, or refuses it, if that would take longer than so. */
    async function takeTurn(kind: keyof CallRates, key: string, waitMsMax: number): Promise<void> {
      const waitMs = throttle.turnMs(kind, key, performance.now(), waitMsMax);
      if (waitMs > 0) await Bun.sleep(waitMs);
    }

    /** Passes a stream on, for as long as the token is good: streams may go on for hours. */
    async function* whileValid<Message>(messages: AsyncIterable<Message>) {
      let checkedMs = performance.now();
      for await (const message of messages) {
        if (caller && performance.now() - checkedMs > tokenCheckedMs) {
          await authenticate(sql, call);
          checkedMs = performance.now();
        }
        yield message;
      }
    }

    return {
      whileValid,
      async admit({ turnMsMax = 0 } = {}): Promise<Caller | undefined> {
        await takeTurn("address", call.address, turnMsMax);
        caller = await authenticate(sql, call);
        if (caller) await takeTurn("token", String(caller.token.tokenId), turnMsMax);
        return admit(caller, call.method);
      },
      async failed(error: unknown): Promise<unknown> {
        await noteRefusal(call, caller, request, error);
        if (!caller && isPogoError(error, "denied")) {
          await Bun.sleep(throttle.delayMs(call.address, performance.now()));
        }
        return translateDatabaseError(error);
      },
    };
  }

  async function wasDone(request: unknown): Promise<boolean> {
    const { repository, requestId } = request as { repository?: unknown; requestId?: unknown };
    if (typeof repository !== "string" || !(requestId instanceof Uint8Array)) return false;
    return await isRequestDone(sql, repository, requestId).catch(() => false);
  }

  function unary<Request, Response>(
    handle: (request: Request, caller: Caller | undefined, call: Call) => Promise<Response>,
  ) {
    return handlers.unary(async (request: Request, call) => {
      const begun = begin(call, request);
      try {
        const caller = await begun.admit();
        try {
          return await handle(request, caller, call);
        } catch (error) {
          // Sent twice, as after a connection was lost: the other one of the two has done it, and
          // that is why this one failed. Now it is recognised, and answered like the other.
          if (!(await wasDone(request))) throw error;
          return await handle(request, caller, call);
        }
      } catch (error) {
        throw await begun.failed(error);
      }
    });
  }

  function serverStream<Request, Response>(
    handle: (request: Request, caller: Caller | undefined) => AsyncIterable<Response>,
  ) {
    return handlers.serverStream(async function* (request: Request, call) {
      const begun = begin(call, request);
      try {
        yield* begun.whileValid(handle(request, await begun.admit()));
      } catch (error) {
        throw await begun.failed(error);
      }
    });
  }

  function clientStream<Request, Response>(
    handle: (requests: AsyncIterable<Request>, caller: Caller | undefined) => Promise<Response>,
  ) {
    return handlers.clientStream(async (requests: AsyncIterable<Request>, call) => {
      const begun = begin(call);
      try {
        const caller = await begun.admit({ turnMsMax: streamTurnMsMax });
        return await handle(begun.whileValid(requests), caller);
      } catch (error) {
        throw await begun.failed(error);
      }
    });
  }

  return { unary, serverStream, clientStream, begin };
}
