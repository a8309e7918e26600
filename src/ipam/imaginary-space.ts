import { PREFIX_SIZE, cidrSize, formatIPv4, parseIPv4, parseIPv4CIDR } from './ip-range.ts'

/**
 * Addresses that AWS and Azure keep at the start of a subnet, and the one at its end (counts).
 *
 * @source Amazon VPC User Guide, Subnet sizing; Azure documentation, Virtual Network FAQ
 */
const RESERVED_FIRST = 4
const RESERVED_LAST = 1

interface SubnetSpace {
  readonly first: number
  readonly size: number
}

/**
 * Which addresses a dry run may pretend to get: those of the subnet that neither a listing nor an earlier pretence has shown taken.
 * From the end of the subnet, so that what is pretended is easily told from what the cloud chooses.
 */
export class ImaginarySpace {
  readonly #subnets = new Map<string, SubnetSpace>()
  /** Also of subnets that no listing has shown yet. */
  readonly #taken = new Map<string, Set<number>>()

  /** A listing showed the subnet. */
  learn(subnetID: string, cidr: string): void {
    const range = parseIPv4CIDR(cidr)
    if (range === undefined || this.#subnets.has(subnetID)) return
    this.#subnets.set(subnetID, { first: range.network, size: cidrSize(range) })
  }

  take(subnetID: string, address: string): void {
    const number = parseIPv4(address)
    if (number !== undefined) this.#takenIn(subnetID).add(number)
  }

  /** A block, or all that is left of it after an address was dropped. */
  takeBlock(subnetID: string, prefix: string): void {
    const range = parseIPv4CIDR(prefix)
    if (range === undefined) return
    for (let address = range.network; address < range.network + cidrSize(range); address++)
      this.#takenIn(subnetID).add(address)
  }

  free(subnetID: string, address: string): void {
    const number = parseIPv4(address)
    if (number !== undefined) this.#takenIn(subnetID).delete(number)
  }

  freeBlock(subnetID: string, prefix: string): void {
    const range = parseIPv4CIDR(prefix)
    if (range === undefined) return
    for (let address = range.network; address < range.network + cidrSize(range); address++)
      this.#takenIn(subnetID).delete(address)
  }

  /** @returns undefined when the subnet has not so many */
  addresses(subnetID: string, count: number): readonly string[] | undefined {
    const subnet = this.#subnets.get(subnetID)
    if (subnet === undefined) return undefined
    const chosen: string[] = []
    const { first, size } = subnet
    const taken = this.#takenIn(subnetID)
    for (let address = first + size - 1 - RESERVED_LAST; chosen.length < count; address--) {
      if (address < first + RESERVED_FIRST) return undefined
      if (!taken.has(address)) chosen.push(formatIPv4(address))
    }
    for (const address of chosen) this.take(subnetID, address)
    return chosen
  }

  /** Whole /28 blocks. @returns undefined when the subnet has not so many */
  blocks(subnetID: string, count: number): readonly string[] | undefined {
    const subnet = this.#subnets.get(subnetID)
    if (subnet === undefined) return undefined
    const chosen: string[] = []
    const { first, size } = subnet
    for (let block = first + size - PREFIX_SIZE; chosen.length < count; block -= PREFIX_SIZE) {
      if (block < first) return undefined
      if (isFreeBlock(subnet, this.#takenIn(subnetID), block)) chosen.push(`${formatIPv4(block)}/28`)
    }
    for (const block of chosen) this.takeBlock(subnetID, block)
    return chosen
  }

  #takenIn(subnetID: string): Set<number> {
    let taken = this.#taken.get(subnetID)
    if (taken === undefined) this.#taken.set(subnetID, (taken = new Set()))
    return taken
  }
}

function isFreeBlock({ first, size }: SubnetSpace, taken: ReadonlySet<number>, block: number): boolean {
  for (let address = block; address < block + PREFIX_SIZE; address++) {
    const isReserved = address < first + RESERVED_FIRST || address >= first + size - RESERVED_LAST
    if (isReserved || taken.has(address)) return false
  }
  return true
}
