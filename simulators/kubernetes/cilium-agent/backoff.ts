import type { Random } from '../../kit/random.ts'

const BASE_MS = 1000
const CAP_MS = 30_000

/**
 * Pause before the next try: doubles with each failure, the upper half by chance.
 *
 * @param failures in a row, at least 1 (count)
 */
export function backoffMs(failures: number, random: Random): number {
  const ceiling = Math.min(CAP_MS, BASE_MS * 2 ** (failures - 1))
  return ceiling / 2 + (ceiling / 2) * random.next()
}
