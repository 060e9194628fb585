/** A seeded generator of numbers from 0 to 1; a test that fails prints the seed that it used. */
export function seededRandom(seed = Number(Bun.env["POGO_TEST_SEED"] ?? Date.now() % 2 ** 31)): {
  seed: number;
  random: () => number;
} {
  let state = seed >>> 0;
  return {
    seed,
    random: () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}

/** Bytes that do not compress, the same for the same seed. */
export function randomBytes(seed: number, size: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = (seed * 0x9e3779b1) | 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, size);
}
