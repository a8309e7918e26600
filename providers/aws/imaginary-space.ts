import { PREFIX_SIZE, cidrSize, formatIPv4, parseIPv4, parseIPv4CIDR } from '../../src/ipam/ip-range.ts'

/** Addresses that AWS keeps at the start of a subnet, and the one at its end (counts). @source Amazon VPC User Guide, Subnet sizing */
const RESERVED_FIRST = 4
const RESERVED_LAST = 1

interface SubnetSpace {
  readonly first: number
  readonly size: number
  readonly taken: Set<number>
}

/**
 * Which addresses a dry run may pretend to get: those of the subnet that neither a listing nor an earlier pretence has shown taken.
 * From the end of the subnet, so that what is pretended is easily told from what EC2 chooses.
 */
export class ImaginarySpace {
  readonly #subnets = new Map<string, SubnetSpace>()

  /** A listing showed the subnet. */
  learn(subnetID: string, cidr: string): void {
    const range = parseIPv4CIDR(cidr)
    if (range === undefined || this.#subnets.has(subnetID)) return
    this.#subnets.set(subnetID, { first: range.network, size: cidrSize(range), taken: new Set() })
  }

  take(subnetID: string, address: string): void {
    const number = parseIPv4(address)
    if (number !== undefined) this.#subnets.get(subnetID)?.taken.add(number)
  }

  /** A block, or all that is left of it after an address was dropped. */
  takeBlock(subnetID: string, prefix: string): void {
    const range = parseIPv4CIDR(prefix)
    if (range === undefined) return
    for (let address = range.network; address < range.network + cidrSize(range); address++)
      this.#subnets.get(subnetID)?.taken.add(address)
  }

  free(subnetID: string, address: string): void {
    const number = parseIPv4(address)
    if (number !== undefined) this.#subnets.get(subnetID)?.taken.delete(number)
  }

  freeBlock(subnetID: string, prefix: string): void {
    const range = parseIPv4CIDR(prefix)
    if (range === undefined) return
    for (let address = range.network; address < range.network + cidrSize(range); address++)
      this.#subnets.get(subnetID)?.taken.delete(address)
  }

  /** @returns undefined when the subnet has not so many */
  addresses(subnetID: string, count: number): readonly string[] | undefined {
    const subnet = this.#subnets.get(subnetID)
    if (subnet === undefined) return undefined
    const chosen: string[] = []
    const { first, size, taken } = subnet
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
      if (this.#isFreeBlock(subnet, block)) chosen.push(`${formatIPv4(block)}/28`)
    }
    for (const block of chosen) this.takeBlock(subnetID, block)
    return chosen
  }

  #isFreeBlock({ first, size, taken }: SubnetSpace, block: number): boolean {
    for (let address = block; address < block + PREFIX_SIZE; address++) {
      const isReserved = address < first + RESERVED_FIRST || address >= first + size - RESERVED_LAST
      if (isReserved || taken.has(address)) return false
    }
    return true
  }
}
