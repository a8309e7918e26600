import { InputError } from '../kit/input.ts'
import type { Random } from '../kit/random.ts'
import type { DurationRange } from './cloud/settings.ts'

/** How long it takes until a call is answered, in milliseconds; the write itself runs on (`CloudSettings`). */
export interface Latency {
  readonly changing: DurationRange
  readonly reading: DurationRange
}

export const NO_LATENCY: Latency = { changing: { min: 0, max: 0 }, reading: { min: 0, max: 0 } }

/** Close to what is seen in public reports; the service documents none. */
export const USUAL_LATENCY: Latency = { changing: { min: 300, max: 1500 }, reading: { min: 50, max: 300 } }

/** How long one call takes. */
export function drawLatency(latency: Latency, random: Random, changes: boolean): number {
  const { min, max } = changes ? latency.changing : latency.reading
  return max > min ? min + random.next() * (max - min) : min
}

/**
 * Reads `usual`, `none`, milliseconds (`100`) or a range of them (`80-300`), the last two for every call alike.
 *
 * @throws InputError
 */
export function parseLatency(text: string): Latency {
  if (text === 'none') return NO_LATENCY
  if (text === 'usual') return USUAL_LATENCY
  const match = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(text)
  const min = Number(match?.[1])
  const max = match?.[2] === undefined ? min : Number(match[2])
  if (match === null || min > max) {
    throw new InputError('latency', [`must be usual, none, milliseconds or a range such as 80-300, not ${text}`])
  }
  return { changing: { min, max }, reading: { min, max } }
}
