import { InputError, InputReader } from '../kit/input.ts'
import { keyOf } from './cloud/arm-id.ts'
import { placeInterface } from './cloud/machines.ts'
import { NIC_TYPE } from './cloud/nics.ts'
import type { WantedConfiguration } from './cloud/wanted-configurations.ts'
import type { Cloud } from './cloud.ts'
import { ARMError } from './errors.ts'

/**
 * Fills a subnet with addresses of others, so that it is exhausted or fragmented: loose interfaces named `occupied-<n>` hold them.
 * Body: `{"subnetId", "leaveFree": n}` takes addresses until n are free; `{"subnetId", "fragment": true}` takes the first address of every
 * free /28, so that no block is found although most addresses are free. Deleting the interfaces undoes it.
 *
 * @returns the interfaces, and what is free now
 * @throws InputError also when there is nothing to take
 */
export function occupyAddresses(
  cloud: Cloud,
  body: unknown,
): { readonly networkInterfaceIds: readonly string[]; readonly freeAddresses: number; readonly freePrefixes: number } {
  cloud.settle()
  const reader = new InputReader('occupy')
  const input = reader.object(body, 'body', ['subnetId', 'leaveFree', 'fragment'])
  const subnetID = reader.string(input['subnetId'], 'subnetId')
  const fragment = input['fragment'] !== undefined && reader.boolean(input['fragment'], 'fragment')
  if (fragment === (input['leaveFree'] !== undefined)) {
    reader.fault('body', 'must have either leaveFree or fragment: true')
  }
  const leaveFree = fragment ? 0 : reader.integer(input['leaveFree'], 'leaveFree', { min: 0 })
  reader.finish()
  const subnet = cloud.subnets.get(keyOf(subnetID))
  if (subnet === undefined) throw new InputError('occupy', [`subnetId ${subnetID} does not exist`])
  const { space } = subnet
  const addresses: readonly (number | undefined)[] = fragment
    ? space.freeBlocks()
    : Array.from({ length: Math.max(0, space.free - leaveFree) }, () => undefined)
  if (addresses.length === 0)
    throw new InputError('occupy', [`${subnetID} has ${space.free} free addresses: nothing to take`])
  const perNIC = cloud.settings.quotas.configurationsPerNIC
  const ids: string[] = []
  const { group } = subnet.network
  try {
    for (let from = 0; from < addresses.length; from += perNIC) {
      const name = `occupied-${cloud.nics.size}`
      const configurations = addresses.slice(from, from + perNIC).map((address, at): WantedConfiguration => ({
        name: `ipconfig${at + 1}`,
        subnet,
        primary: at === 0,
        method: address === undefined ? 'Dynamic' : 'Static',
        address,
        addressCount: 1,
        properties: {},
        publicIP: undefined,
      }))
      const id = cloud.resourceID(group, NIC_TYPE, name)
      placeInterface(cloud, { id, name, group, owner: undefined, document: {}, configurations })
      ids.push(id)
    }
  } catch (error) {
    if (error instanceof ARMError) throw new InputError('occupy', [error.message])
    throw error
  }
  return { networkInterfaceIds: ids, freeAddresses: space.free, freePrefixes: space.freeBlocks().length }
}
