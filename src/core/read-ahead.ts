import { readAheadBytes, readAheadCount } from "./limits.ts";

/** Yields items in their order, each with what `read` makes of it; a few are under way. */
export async function* readAhead<T, V>(
  items: AsyncIterable<T> | Iterable<T>,
  read: (item: T) => Promise<V>,
  bytesOf: (item: T) => number,
  countMax = readAheadCount,
): AsyncGenerator<{ item: T; value: V }> {
  const ahead: { item: T; value: Promise<V> }[] = [];
  let aheadBytes = 0;
  for await (const item of items) {
    while (ahead.length > 0 && (ahead.length >= countMax || aheadBytes >= readAheadBytes)) {
      yield await takeFirst();
    }
    const value = read(item);
    // Told to whoever gets to it; until then nobody is asking.
    value.catch(() => {});
    ahead.push({ item, value });
    aheadBytes += bytesOf(item);
  }
  while (ahead.length > 0) yield await takeFirst();

  async function takeFirst(): Promise<{ item: T; value: V }> {
    const { item, value } = ahead.shift()!;
    const taken = { item, value: await value };
    aheadBytes -= bytesOf(item);
    return taken;
  }
}
