/** A client's half of PostgreSQL's protocol, as far as the embedded database must know it. */
const startupHeaderBytes = 8;
const headerBytes = 5;
const terminate = 0x58;

/**
 * Splits what has arrived into whole messages and the rest. Messages that belong together stay in
 * one piece: PGlite reads as many as it is given. `Terminate` is dropped, as it would end the one
 * backend there is; so are requests to cancel, which has no other process to go to.
 */
export function completeMessages(
  pending: Uint8Array,
  arrived: Uint8Array,
): { messages: Uint8Array[]; rest: Uint8Array } {
  const bytes = pending.length === 0 ? arrived : Buffer.concat([pending, arrived]);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: Uint8Array[] = [];
  let start = 0;
  let end = 0;
  const cut = () => {
    if (end > start) messages.push(bytes.subarray(start, end));
  };
  while (end < bytes.length) {
    // Only the first messages of a connection have no type; their length begins with a zero.
    const isStartup = bytes[end] === 0;
    const left = bytes.length - end;
    if (left < (isStartup ? startupHeaderBytes : headerBytes)) break;
    const length = isStartup ? view.getUint32(end) : 1 + view.getUint32(end + 1);
    if (left < length) break;
    const isSkipped = isStartup ? !isStartOfSession(view, end) : bytes[end] === terminate;
    if (isStartup || isSkipped) {
      cut();
      if (!isSkipped) messages.push(bytes.subarray(end, end + length));
      start = end + length;
    }
    end += length;
  }
  cut();
  return { messages, rest: bytes.slice(end) };
}

function isStartOfSession(view: DataView, offset: number): boolean {
  const majorVersion = view.getUint16(offset + 4);
  return majorVersion === 3;
}
