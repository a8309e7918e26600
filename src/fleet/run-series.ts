import type { SimulatedCloud } from './simulated-cloud.ts'
import type { World } from './world.ts'

/** How a run stood at one moment. Counts. */
export interface SeriesSample {
  /** From the start of the run (s). */
  readonly atSeconds: number
  /** Nodes that ever joined, and of them those whose resource has opened an address at some time. */
  readonly nodesJoined: number
  readonly nodesServed: number
  readonly addressesAvailable: number
  readonly addressesUsed: number
  readonly podsWaiting: number
  /** So far, by action. */
  readonly calls: Readonly<Record<string, number>>
  /** So far, by action. */
  readonly refused: Readonly<Record<string, number>>
  /** What the bucket of an action holds, by action (share of its size); absent where nothing is limited. */
  readonly tokens: Readonly<Record<string, number>>
}

/** How much of a run is looked at. */
export interface SeriesSource {
  readonly world: Pick<World, 'supply'>
  readonly cloud: Pick<SimulatedCloud, 'account'>
}

/** Samples that are kept at most (count): odd, so that the last one is kept when every second one goes. And the first pause (ms). */
const MAX_SAMPLES = 601
const FIRST_INTERVAL_MS = 1_000

/**
 * The course of a run, at even distances: when there are too many samples every second one goes and the distance doubles, so that a
 * minute and a week take the same room.
 */
export class RunSeries {
  #samples: SeriesSample[] = []
  #intervalMs = FIRST_INTERVAL_MS

  /** Oldest first. */
  get samples(): readonly SeriesSample[] {
    return this.#samples
  }

  /** Until the next sample is due (ms). */
  get intervalMs(): number {
    return this.#intervalMs
  }

  add(sample: SeriesSample): void {
    this.#samples.push(sample)
    if (this.#samples.length < MAX_SAMPLES) return
    this.#samples = this.#samples.filter((_, index) => index % 2 === 0)
    this.#intervalMs *= 2
  }

  /**
   * Looks at the run as it is now.
   *
   * @param atMs from the start of the run
   */
  async look({ world, cloud }: SeriesSource, atMs: number, signal: AbortSignal): Promise<void> {
    const { joined, served, available, used, podsWaiting } = world.supply()
    const actions = Object.entries(await cloud.account.calls(signal))
    this.add({
      atSeconds: atMs / 1000,
      nodesJoined: joined,
      nodesServed: served,
      addressesAvailable: available,
      addressesUsed: used,
      podsWaiting,
      calls: Object.fromEntries(actions.map(([action, { attempts }]) => [action, attempts])),
      refused: Object.fromEntries(actions.map(([action, { refused }]) => [action, refused])),
      tokens: Object.fromEntries(
        actions.flatMap(([action, { bucket }]) =>
          bucket === undefined ? [] : [[action, bucket.tokens / bucket.size]],
        ),
      ),
    })
  }
}
