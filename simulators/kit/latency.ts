import { InputError } from './input.ts'
import type { Random } from './random.ts'

/** Milliseconds from `min` to `max`, drawn evenly. */
export interface DurationRange {
  readonly min: number
  readonly max: number
}

/** How long calls take, in milliseconds: those that change something, and those that read. */
export interface CallLatency {
  readonly changing: DurationRange
  readonly reading: DurationRange
}

/** A duration of the range. */
export function drawDuration({ min, max }: DurationRange, random: Random): number {
  return max > min ? min + random.next() * (max - min) : min
}

/**
 * Reads `usual`, `none`, milliseconds (`100`) or a range of them (`80-300`), the last two for every call alike.
 *
 * @param usual what the simulator calls usual
 * @throws InputError
 */
export function parseCallLatency<L extends CallLatency>(text: string, usual: L): L | CallLatency {
  if (text === 'usual') return usual
  if (text === 'none') return bothWays({ min: 0, max: 0 })
  const match = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(text)
  const min = Number(match?.[1])
  const max = match?.[2] === undefined ? min : Number(match[2])
  if (match === null || min > max) {
    throw new InputError('latency', [`must be usual, none, milliseconds or a range such as 80-300, not ${text}`])
  }
  return bothWays({ min, max })
}

function bothWays(range: DurationRange): CallLatency {
  return { changing: range, reading: range }
}
