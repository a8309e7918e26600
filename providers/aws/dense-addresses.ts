import { cidrSize, formatIPv4, parseIPv4, parseIPv4CIDR, PREFIX_SIZE, type IPv4CIDR } from '../../src/ipam/ip-range.ts'
import type { Subnet } from '../../src/ipam/types.ts'
import type { ENI } from './types.ts'

/** All addresses of a /28 block, one bit each. */
const WHOLE_BLOCK = 2 ** PREFIX_SIZE - 1
/** The first four addresses of a subnet and its last are the cloud's own. @source AWS documentation, Amazon VPC User Guide, Subnet sizing */
const RESERVED_AT_START = 4

/** What is known to be taken in one subnet, by /28 block (first address / 16). */
export interface TakenBlocks {
  /** Blocks of which single addresses are taken: a bit for each. */
  readonly singles: ReadonlyMap<number, number>
  /** Blocks delegated as prefixes. */
  readonly delegated: ReadonlySet<number>
}

/**
 * Free addresses that break as few whole blocks as possible: the rest of blocks that are broken already, the fullest first (those
 * with the subnet's reserved addresses count as broken, they can never be delegated), then whole blocks from the subnet's end.
 *
 * @param count addresses wanted
 * @param isUnavailable addresses that are not to be had although they do not show in `taken`
 * @returns `count` addresses as integers; undefined when there are not so many
 */
export function chooseDenseAddresses(
  cidr: IPv4CIDR,
  { singles, delegated }: TakenBlocks,
  count: number,
  isUnavailable: (address: number) => boolean,
): readonly number[] | undefined {
  const size = cidrSize(cidr)
  const first = Math.floor(cidr.network / PREFIX_SIZE)
  const last = Math.floor((cidr.network + size - 1) / PREFIX_SIZE)
  const maskOf = (block: number): number => {
    let mask = singles.get(block) ?? 0
    if (block === first) mask |= 2 ** RESERVED_AT_START - 1
    if (block === last) mask |= 1 << (PREFIX_SIZE - 1)
    return mask
  }
  const broken = [...new Set([first, last, ...singles.keys()])]
    .filter((block) => block >= first && block <= last && !delegated.has(block) && maskOf(block) !== WHOLE_BLOCK)
    .sort((a, b) => bitCount(maskOf(b)) - bitCount(maskOf(a)) || a - b)
  const chosen: number[] = []
  const takeFrom = (block: number): void => {
    const mask = maskOf(block)
    for (let offset = 0; offset < PREFIX_SIZE && chosen.length < count; offset++) {
      const address = block * PREFIX_SIZE + offset
      if ((mask & (1 << offset)) === 0 && !isUnavailable(address)) chosen.push(address)
    }
  }
  for (const block of broken) {
    if (chosen.length >= count) break
    takeFrom(block)
  }
  for (let block = last; block >= first && chosen.length < count; block--)
    if (maskOf(block) === 0 && !delegated.has(block)) takeFrom(block)
  return chosen.length < count ? undefined : chosen
}

function bitCount(mask: number): number {
  let count = 0
  for (let rest = mask; rest !== 0; rest &= rest - 1) count += 1
  return count
}

/** Addresses that were chosen for one call and are offered to nobody else until it is known what became of them. */
export interface AddressReservation {
  readonly addresses: readonly string[]
  /** The call is over: what it assigned is in the inventory by now. */
  end(): void
  /** Some of them are taken by something that we do not see: all are left alone until the next full listing. */
  refused(): void
}

interface SubnetBlocks {
  readonly singles: Map<number, number>
  readonly delegated: Set<number>
}

/** Taken blocks by subnet. */
type BlockIndex = Map<string, SubnetBlocks>

/**
 * Where addresses lie, so that new single ones can be put beside them and whole /28 blocks stay free for prefixes. Fed with every
 * change of the inventory: the cost of a change is that of its interfaces. What hangs on no instance (load balancers, endpoints) is
 * known from the last full listing; should a younger one have a chosen address, EC2 refuses it, and the caller then leaves the
 * choice to EC2.
 */
export class DenseAddresses {
  readonly #onInstances: BlockIndex = new Map()
  #elsewhere: BlockIndex = new Map()
  readonly #reserved = new Set<number>()
  readonly #refused = new Set<number>()
  #isInventoryKnown = false

  /** An instance's interfaces changed. */
  changed(before: ReadonlyMap<string, ENI>, after: ReadonlyMap<string, ENI>): void {
    for (const [id, eni] of before) if (after.get(id) !== eni) mark(this.#onInstances, eni, false)
    for (const [id, eni] of after) if (before.get(id) !== eni) mark(this.#onInstances, eni, true)
  }

  /** All interfaces were listed: what was refused before may be free by now. @param others those that hang on no instance */
  listed(others: Iterable<ENI>): void {
    this.#isInventoryKnown = true
    this.#elsewhere = new Map()
    for (const eni of others) mark(this.#elsewhere, eni, true)
    this.#refused.clear()
  }

  /** Whole /28 blocks of a subnet of which nothing is known to be taken (count); undefined while the inventory is not known. */
  freeBlocks({ cidr: text, id }: Pick<Subnet, 'id' | 'cidr'>): number | undefined {
    const cidr = parseIPv4CIDR(text)
    if (!this.#isInventoryKnown || cidr === undefined) return undefined
    const size = cidrSize(cidr)
    const first = Math.floor(cidr.network / PREFIX_SIZE)
    const last = Math.floor((cidr.network + size - 1) / PREFIX_SIZE)
    const taken = new Set([first, last])
    for (const blocks of [this.#onInstances.get(id), this.#elsewhere.get(id)]) {
      for (const block of blocks?.singles.keys() ?? []) taken.add(block)
      for (const block of blocks?.delegated ?? []) taken.add(block)
    }
    return Math.max(0, last - first + 1 - taken.size)
  }

  /** @returns undefined while the inventory is not known, or when the subnet shows too few free addresses */
  reserve({ cidr: text, id }: Pick<Subnet, 'id' | 'cidr'>, count: number): AddressReservation | undefined {
    const cidr = parseIPv4CIDR(text)
    if (!this.#isInventoryKnown || cidr === undefined || count <= 0) return undefined
    const isUnavailable = (address: number): boolean => this.#reserved.has(address) || this.#refused.has(address)
    const taken = joined(this.#onInstances.get(id), this.#elsewhere.get(id))
    const chosen = chooseDenseAddresses(cidr, taken, count, isUnavailable)
    if (chosen === undefined) return undefined
    for (const address of chosen) this.#reserved.add(address)
    const end = (): void => {
      for (const address of chosen) this.#reserved.delete(address)
    }
    return {
      addresses: chosen.map(formatIPv4),
      end,
      refused: () => {
        end()
        for (const address of chosen) this.#refused.add(address)
      },
    }
  }
}

function joined(a: SubnetBlocks | undefined, b: SubnetBlocks | undefined): TakenBlocks {
  const singles = new Map(a?.singles)
  for (const [block, mask] of b?.singles ?? []) singles.set(block, (singles.get(block) ?? 0) | mask)
  return { singles, delegated: new Set([...(a?.delegated ?? []), ...(b?.delegated ?? [])]) }
}

/** Adds or removes what an interface takes. */
function mark(index: BlockIndex, eni: ENI, isTaken: boolean): void {
  const blocks = index.get(eni.subnet.id) ?? { singles: new Map<number, number>(), delegated: new Set<number>() }
  index.set(eni.subnet.id, blocks)
  const { singles, delegated } = blocks
  const prefixes = new Set<number>()
  for (const text of eni.prefixes) {
    const prefix = parseIPv4CIDR(text)
    if (prefix !== undefined) prefixes.add(Math.floor(prefix.network / PREFIX_SIZE))
  }
  for (const block of prefixes) {
    if (isTaken) delegated.add(block)
    else delegated.delete(block)
  }
  for (const text of eni.addresses) {
    const address = parseIPv4(text)
    if (address === undefined) continue
    const block = Math.floor(address / PREFIX_SIZE)
    if (prefixes.has(block)) continue
    const bit = 1 << (address % PREFIX_SIZE)
    const mask = isTaken ? (singles.get(block) ?? 0) | bit : (singles.get(block) ?? 0) & ~bit
    if (mask === 0) singles.delete(block)
    else singles.set(block, mask)
  }
}
