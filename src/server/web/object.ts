import { isPogoError } from "#core/errors.ts";
import type { Parts } from "../services/calls.ts";
import { getSignedObject, type SentObject } from "../services/object-url.ts";
import { isUnchanged, text, type WebAnswer, type WebRequest } from "./answer.ts";

/** Answers with an object whose URL a server signed: whole, or one range of it. */
export async function answerObject(parts: Parts, request: WebRequest): Promise<WebAnswer> {
  const { repository = "", hash = "" } = request.parameters;
  const expires = Number(request.query.get("expires"));
  const signature = request.query.get("signature") ?? "";
  if (!parts.objectUrls || !/^[0-9a-f]{64}$/.test(hash))
    return text(404, "there is nothing here\n");
  try {
    const object = await getSignedObject(parts, { repository, hash, expires, signature });
    return sendObject(request, object, `"${hash}-${object.encoding ?? "raw"}"`, expires);
  } catch (error) {
    if (isPogoError(error, "denied")) return text(403, `${error.message}\n`);
    if (isPogoError(error, "not-found")) return text(404, `${error.message}\n`);
    throw error;
  }
}

function sendObject(
  request: WebRequest,
  { encoding, payload }: SentObject,
  tag: string,
  expires: number,
): WebAnswer {
  const secondsLeft = Math.max(0, Math.floor(expires - Date.now() / 1000));
  const headers = {
    "content-type": "application/octet-stream",
    ...(encoding && { "content-encoding": encoding }),
    // The URL is what lets in: who has it may share what it gave, until it expires.
    "cache-control": `public, max-age=${secondsLeft}, immutable`,
    "accept-ranges": "bytes",
    etag: tag,
  };
  if (isUnchanged(request, tag)) return { status: 304, headers, body: "" };
  const range = readRange(request, tag, payload.length);
  if (!range) return { status: 200, headers, body: payload };
  if (range === "none") {
    return text(416, "there is no such range\n", { "content-range": `bytes */${payload.length}` });
  }
  const { start, end } = range;
  return {
    status: 206,
    headers: { ...headers, "content-range": `bytes ${start}-${end - 1}/${payload.length}` },
    body: payload.subarray(start, end),
  };
}

/** The one range that is asked for; nothing, for all of it, if it is none, or several. */
function readRange(
  { headers }: WebRequest,
  tag: string,
  size: number,
): { start: number; end: number } | "none" | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  // Of what somebody holds another form of, a part would not fit.
  const condition = headers["if-range"];
  if (condition !== undefined && condition !== tag) return undefined;
  if (first === "")
    return last === "0" ? "none" : { start: Math.max(0, size - Number(last)), end: size };
  const start = Number(first);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  if (start >= size) return "none";
  return end > start ? { start, end } : undefined;
}
