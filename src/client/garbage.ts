/**
 * Contents that pass through are garbage at once, but their bytes lie outside the JavaScript heap,
 * whose collector sees little of them and lets hundreds of megabytes gather. It is called when so
 * many have passed.
 */
const collectedBytes = 48 * 1024 * 1024;

/** Counts bytes that nobody needs any more, and collects them now and then. */
export function openGarbage(): { add(bytes: number): void } {
  let gathered = 0;
  return {
    add(bytes) {
      gathered += bytes;
      if (gathered < collectedBytes) return;
      gathered = 0;
      Bun.gc(true);
    },
  };
}
