/** Cuts a stream of bytes into pieces of one size; the last one may be shorter. */
export async function* gather(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  let gathered = new Uint8Array(bytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let offset = 0; offset < piece.length;) {
      const part = piece.subarray(offset, offset + bytes - filled);
      gathered.set(part, filled);
      offset += part.length;
      filled += part.length;
      if (filled < bytes) continue;
      yield gathered;
      // Whoever got it may still be sending it.
      gathered = new Uint8Array(bytes);
      filled = 0;
    }
  }
  if (filled > 0) yield gathered.subarray(0, filled);
}
