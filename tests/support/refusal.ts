import { isPogoError, type ErrorCode } from "#core/errors.ts";

/**
 * The code that a promise is refused with. `expect().rejects` waits within the call: a server in
 * the same process gets no turn meanwhile.
 */
export async function refusal(promise: Promise<unknown>): Promise<ErrorCode | "nothing"> {
  try {
    await promise;
    return "nothing";
  } catch (error) {
    if (isPogoError(error)) return error.code;
    throw error;
  }
}
