import { contains, formatIPv4, parseIPv4 } from './ipv4.ts'
import type { IPv4CIDR } from './ipv4.ts'

interface Range {
  readonly cidr: IPv4CIDR
  readonly interfaceID: string
  readonly held: Set<number>
  /** It vanished from the resource while in use: kept until the last address is back, nothing new is taken from it. */
  isRemoved: boolean
  /**
   * It was given back, then wanted again. The operator may detach it until it has been told so: nothing is taken from it before the
   * resource lists it as allocated.
   */
  isReclaimed: boolean
}

/**
 * A pool of CIDRs, first come first filled.
 *
 * @source cilium pkg/ipam/podcidr.go, podCIDRPool: `released` are CIDRs given back that are still listed, `removed` those that
 *   vanished while in use
 */
export class CIDRPool {
  #ranges: Range[] = []
  /** Given back by us, still listed in the resource: not taken up again unless they are reclaimed. */
  #released = new Map<string, { readonly cidr: IPv4CIDR; readonly interfaceID: string }>()

  /** Addresses in use (count). */
  get heldCount(): number {
    return this.#ranges.reduce((sum, range) => sum + range.held.size, 0)
  }

  /** Addresses of CIDRs that are listed and not given back, used ones included (count). */
  get size(): number {
    return this.#ranges.reduce((sum, range) => sum + (range.isRemoved ? 0 : range.cidr.size), 0)
  }

  /** The addresses that `size` counts. */
  addresses(): readonly string[] {
    return this.#ranges
      .filter(({ isRemoved }) => !isRemoved)
      .flatMap(({ cidr }) => Array.from({ length: cidr.size }, (_, index) => formatIPv4(cidr.first + index)))
  }

  /** CIDRs that the pool has taken over (texts), sorted. */
  get cidrs(): readonly string[] {
    return this.#ranges.map((range) => range.cidr.text).sort()
  }

  /**
   * Takes over the CIDRs that the resource lists now.
   *
   * @param allocated those that the resource says are taken over (texts)
   */
  update(
    listed: ReadonlyMap<string, { readonly cidr: IPv4CIDR; readonly interfaceID: string }>,
    allocated: ReadonlySet<string>,
  ): void {
    for (const text of this.#released.keys()) if (!listed.has(text)) this.#released.delete(text)
    const known = new Set<string>()
    this.#ranges = this.#ranges.filter((range) => {
      known.add(range.cidr.text)
      range.isRemoved = !listed.has(range.cidr.text)
      if (allocated.has(range.cidr.text)) range.isReclaimed = false
      return !range.isRemoved || range.held.size > 0
    })
    for (const [text, { cidr, interfaceID }] of listed) {
      if (!known.has(text) && !this.#released.has(text))
        this.#ranges.push({ cidr, interfaceID, held: new Set(), isRemoved: false, isReclaimed: false })
    }
  }

  allocateNext(): { readonly address: string; readonly interfaceID: string } | undefined {
    for (const { cidr, interfaceID, held, isRemoved, isReclaimed } of this.#ranges) {
      if (isRemoved || isReclaimed || held.size === cidr.size) continue
      let value = cidr.first
      while (held.has(value)) value++
      held.add(value)
      return { address: formatIPv4(value), interfaceID }
    }
    return undefined
  }

  release(address: string): void {
    const value = parseIPv4(address)
    if (value === undefined) return
    const range = this.#ranges.find(({ cidr }) => contains(cidr, value))
    range?.held.delete(value)
    this.#ranges = this.#ranges.filter((one) => !one.isRemoved || one.held.size > 0)
  }

  /**
   * Gives back unused CIDRs from the last to the first while at least `floor` free addresses remain, and takes released ones up
   * again, lowest first, while fewer are free.
   *
   * @param floor free addresses to keep (count)
   */
  settle(floor: number): void {
    let free = this.size - this.#ranges.reduce((sum, range) => sum + (range.isRemoved ? 0 : range.held.size), 0)
    for (const { cidr, interfaceID } of [...this.#released.values()].sort((a, b) => a.cidr.first - b.cidr.first)) {
      if (free >= floor) break
      this.#released.delete(cidr.text)
      this.#ranges.push({ cidr, interfaceID, held: new Set(), isRemoved: false, isReclaimed: true })
      free += cidr.size
    }
    const kept: Range[] = []
    for (const range of this.#ranges.toReversed()) {
      const { cidr, interfaceID, held, isRemoved } = range
      if (!isRemoved && held.size === 0 && free - cidr.size >= floor) {
        free -= cidr.size
        this.#released.set(cidr.text, { cidr, interfaceID })
      } else {
        kept.push(range)
      }
    }
    this.#ranges = kept.toReversed()
  }
}
