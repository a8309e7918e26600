/** The only door to chance of a simulator: uniform in [0, 1). */
export interface Random {
  next(): number
}

/**
 * A stream of numbers that depends on the seed alone (mulberry32: 32 bits of state, period 2^32, enough for simulations and
 * unfit for secrets).
 *
 * @param seed any integer; only its low 32 bits count
 */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  return {
    next() {
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    },
  }
}

/** A whole number in [0, bound). @param bound at least 1 */
export function randomInteger(random: Random, bound: number): number {
  return Math.floor(random.next() * bound)
}

/** Two digits of every byte: identifiers are drawn for every call. */
const PAIRS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function pair(bits: number): string {
  return PAIRS[bits & 255] ?? ''
}

/** Lower-case hexadecimal digits. @param length how many (count) */
export function randomHex(random: Random, length: number): string {
  let digits = ''
  while (digits.length < length) {
    const bits = Math.floor(random.next() * 2 ** 32)
    digits += pair(bits >>> 24) + pair(bits >>> 16) + pair(bits >>> 8) + pair(bits)
  }
  return digits.length === length ? digits : digits.slice(0, length)
}

/** A version-4 UUID in form, drawn from the stream: request ids. */
export function randomUUID(random: Random): string {
  const hex = randomHex(random, 32)
  const variant = ((parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}
