/** Works on items, several at a time and no more. The first failure ends it. */
export async function inLanes<T>(
  items: Iterable<T>,
  lanesMax: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let hasFailed = false;
  const lane = async () => {
    for (;;) {
      if (hasFailed) return;
      const next = iterator.next();
      if (next.done) return;
      try {
        await work(next.value);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  // All of them end before the failure is told: nothing goes on behind the caller's back.
  const results = await Promise.allSettled(Array.from({ length: lanesMax }, lane));
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}
