import { InputError, InputReader } from '../kit/input.ts'
import type { Cloud } from './cloud.ts'
import { makeInterface } from './cloud/interfaces.ts'
import { PREFIX_SIZE, blockSize } from '../kit/ipv4.ts'
import type { Subnet } from './cloud/types.ts'
import { EC2Error } from './errors.ts'

/** Description of the interface that stands for all the others in a subnet. */
const DESCRIPTION = 'Addresses in use by others'

/**
 * Fills a subnet with addresses of others, so that it is exhausted or fragmented: one loose interface takes them all. Body:
 * `{"subnetId", "leaveFree": n}` takes addresses of the usual choice until n are free; `{"subnetId", "fragment": true}` takes one
 * address of every free /28, so that no prefix is found although most addresses are free. Deleting the interface undoes it.
 *
 * @returns the interface, and what is free now
 * @throws InputError also when fewer addresses are free than are to be left
 */
export function occupyAddresses(
  cloud: Cloud,
  body: unknown,
): {
  readonly networkInterfaceId: string
  readonly availableIpAddressCount: number
  readonly freePrefixCount: number
} {
  const reader = new InputReader('occupy')
  const input = reader.object(body, 'body', ['subnetId', 'leaveFree', 'fragment'])
  const subnetID = reader.string(input['subnetId'], 'subnetId')
  const fragment = input['fragment'] !== undefined && reader.boolean(input['fragment'], 'fragment')
  if (fragment === (input['leaveFree'] !== undefined))
    reader.fault('body', 'must have either leaveFree or fragment: true')
  const leaveFree = fragment ? 0 : reader.integer(input['leaveFree'], 'leaveFree', { min: 0 })
  reader.finish()
  const subnet = cloud.subnets.get(subnetID)
  if (subnet === undefined) throw new InputError('occupy', [`subnetId ${subnetID} does not exist`])
  const [primary, ...named] = fragment ? oneOfEachFreeBlock(subnet) : []
  const wanted = subnet.space.free - leaveFree
  if (fragment ? primary === undefined : wanted < 1) {
    throw new InputError('occupy', [`${subnetID} has ${subnet.space.free} free addresses: nothing to take`])
  }
  try {
    const iface = makeInterface(cloud, {
      subnet,
      interfaceType: 'interface',
      description: DESCRIPTION,
      groups: [],
      tags: new Map(),
      primary,
      ipv4: { addresses: named, addressCount: fragment ? 0 : wanted - 1, prefixes: [], prefixCount: 0 },
      ipv6: { addressCount: 0, prefixCount: 0 },
    })
    return {
      networkInterfaceId: iface.id,
      availableIpAddressCount: subnet.space.free,
      freePrefixCount: subnet.space.countFreeBlocks(),
    }
  } catch (error) {
    if (error instanceof EC2Error) throw new InputError('occupy', [error.message])
    throw error
  }
}

/** The first address of every /28 that is wholly free and open to all. */
function oneOfEachFreeBlock({ space }: Subnet): readonly number[] {
  const { base } = space.block
  const firsts = Array.from({ length: blockSize(space.block) / PREFIX_SIZE }, (_, index) => base + index * PREFIX_SIZE)
  return firsts.filter((first) => space.isBlockOpen(first))
}
