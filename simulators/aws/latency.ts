import { drawDuration, parseCallLatency } from '../kit/latency.ts'
import type { CallLatency } from '../kit/latency.ts'
import type { Random } from '../kit/random.ts'

/** How long calls take, in milliseconds. */
export interface Latency extends CallLatency {
  /** More for an unpaged, unfiltered listing of interfaces, for every 2000 interfaces of the account. */
  readonly per2000InterfacesMs: number
}

export const NO_LATENCY: Latency = {
  changing: { min: 0, max: 0 },
  reading: { min: 0, max: 0 },
  per2000InterfacesMs: 0,
}

/** Close to what is seen in public reports; the service documents none. */
export const USUAL_LATENCY: Latency = {
  changing: { min: 80, max: 300 },
  reading: { min: 50, max: 150 },
  per2000InterfacesMs: 1000,
}

const INTERFACES_PER_STEP = 2000

/** How long one call takes. @param listed interfaces of the account when the call lists them all, else 0 (count) */
export function drawLatency(latency: Latency, random: Random, changes: boolean, listed: number): number {
  const baseMs = drawDuration(changes ? latency.changing : latency.reading, random)
  return baseMs + (listed / INTERFACES_PER_STEP) * latency.per2000InterfacesMs
}

/** As `parseCallLatency`; but for `usual` a listing takes no more for its size. @throws InputError */
export function parseLatency(text: string): Latency {
  return { per2000InterfacesMs: 0, ...parseCallLatency(text, USUAL_LATENCY) }
}
