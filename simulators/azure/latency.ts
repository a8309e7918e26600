import { drawDuration, parseCallLatency } from '../kit/latency.ts'
import type { CallLatency } from '../kit/latency.ts'
import type { Random } from '../kit/random.ts'

/** How long it takes until a call is answered, in milliseconds; the write itself runs on (`CloudSettings`). */
export type Latency = CallLatency

export const NO_LATENCY: Latency = { changing: { min: 0, max: 0 }, reading: { min: 0, max: 0 } }

/** Close to what is seen in public reports; the service documents none. */
export const USUAL_LATENCY: Latency = { changing: { min: 300, max: 1500 }, reading: { min: 50, max: 300 } }

/** How long one call takes. */
export function drawLatency(latency: Latency, random: Random, changes: boolean): number {
  return drawDuration(changes ? latency.changing : latency.reading, random)
}

/** As `parseCallLatency`. @throws InputError */
export function parseLatency(text: string): Latency {
  return parseCallLatency(text, USUAL_LATENCY)
}
