/** The only door to chance: uniform in [0, 1). Seeded in tests and in simulated fleets. */
export interface Random {
  next(): number
}

/** Chance of a running process. */
export const systemRandom: Random = { next: () => Math.random() }

/**
 * A repeatable sequence: the same seed gives the same numbers on every machine.
 *
 * @source mulberry32, public domain (Tommy Ettinger, 2017)
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), state | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    },
  }
}
