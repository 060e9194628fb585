import type { Call, Handlers } from "#rpc/serve.ts";
import { authenticate, type Caller } from "../auth.ts";
import { translateDatabaseError, type Sql } from "../db/connect.ts";
import type { ObjectStore } from "../store/store.ts";

/** What every service works with. */
export type Parts = { sql: Sql; store: ObjectStore };

export type CallHandlers = ReturnType<typeof authenticated>;

/** Makes handlers that know who calls instead of what the call carried. */
export function authenticated({ sql }: Parts, handlers: Handlers) {
  const callerOf = (call: Call) => authenticate(sql, call.token);

  function unary<Request, Response>(
    handle: (request: Request, caller: Caller | undefined) => Promise<Response>,
  ) {
    return handlers.unary(async (request: Request, call) => {
      try {
        return await handle(request, await callerOf(call));
      } catch (error) {
        throw translateDatabaseError(error);
      }
    });
  }

  function serverStream<Request, Response>(
    handle: (request: Request, caller: Caller | undefined) => AsyncIterable<Response>,
  ) {
    return handlers.serverStream(async function* (request: Request, call) {
      try {
        yield* handle(request, await callerOf(call));
      } catch (error) {
        throw translateDatabaseError(error);
      }
    });
  }

  function clientStream<Request, Response>(
    handle: (requests: AsyncIterable<Request>, caller: Caller | undefined) => Promise<Response>,
  ) {
    return handlers.clientStream(async (requests: AsyncIterable<Request>, call) => {
      try {
        return await handle(requests, await callerOf(call));
      } catch (error) {
        throw translateDatabaseError(error);
      }
    });
  }

  return { unary, serverStream, clientStream };
}
