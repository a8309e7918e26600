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
  const web = globalThis.crypto
  const realRandom = Math.random
  const realUUID = crypto.randomUUID
  const uuid = (): `${string}-${string}-${string}-${string}-${string}` =>
    randomUUID(random) as `${string}-${string}-${string}-${string}-${string}`
  Math.random = () => random.next()
  crypto.randomUUID = uuid
  // On the object itself, over its prototype's.
  Object.defineProperty(web, 'randomUUID', { value: uuid, configurable: true })
  syncBuiltinESMExports()
  return () => {
    Math.random = realRandom
    crypto.randomUUID = realUUID
    Reflect.deleteProperty(web, 'randomUUID')
    syncBuiltinESMExports()
  }
}
