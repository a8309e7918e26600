/** Between two full syncs of a small fleet, and a moment for what the sync leads to (ms). @source docs/decisions/0011-freshness.md */
const FULL_SYNC_MS = 65_000

/**
 * Since when a controller may know that a crowded zone has room again. Only listings tell, and each full sync makes one: before that,
 * and while listings fail, nobody can be blamed for not asking (docs/decisions/0031-full-subnets.md).
 */
export class RoomKnowledge {
  readonly #crampedAtMs = new Map<string, number>()
  #listedFromMs = Number.NEGATIVE_INFINITY
  #failedAtMs = Number.NEGATIVE_INFINITY

  /** A listing of the subnets was answered in full. @param startMs when it was asked for (clock) */
  listed(startMs: number): void {
    this.#listedFromMs = Math.max(this.#listedFromMs, startMs)
  }

  /** A listing, of subnets or of what is read together with them, had no usable answer. */
  failed(nowMs: number): void {
    this.#failedAtMs = nowMs
  }

  /** The zone was seen without room. */
  cramped(zone: string, nowMs: number): void {
    this.#crampedAtMs.set(zone, nowMs)
  }

  /** Whether room that the zone has by now may still be news. */
  mayBeUnknown(zone: string, nowMs: number): boolean {
    const crampedAtMs = this.#crampedAtMs.get(zone)
    if (crampedAtMs === undefined) return false
    const isFailing = this.#failedAtMs > crampedAtMs && this.#failedAtMs >= this.#listedFromMs
    if (isFailing) return true
    return this.#listedFromMs <= crampedAtMs && nowMs - crampedAtMs < FULL_SYNC_MS
  }
}
