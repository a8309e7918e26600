import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { randomUUID } from '../../simulators/kit/random.ts'
import { seededRandom } from '../runtime/random.ts'

/**
 * Puts a seeded stream behind the chance that third-party code reads by itself: `Math.random` and `crypto.randomUUID`. Call it before such
 * code is imported, because it may keep the functions it finds.
 *
 * @returns gives the real functions back
 */
export function seedGlobalChance(seed: number): () => void {
  const random = seededRandom(seed)
  const real = { random: Math.random, randomUUID: crypto.randomUUID, webRandomUUID: globalThis.crypto.randomUUID }
  const uuid = (): `${string}-${string}-${string}-${string}-${string}` =>
    randomUUID(random) as `${string}-${string}-${string}-${string}-${string}`
  Math.random = () => random.next()
  crypto.randomUUID = uuid
  globalThis.crypto.randomUUID = uuid
  syncBuiltinESMExports()
  return () => {
    Math.random = real.random
    crypto.randomUUID = real.randomUUID
    globalThis.crypto.randomUUID = real.webRandomUUID
    syncBuiltinESMExports()
  }
}
