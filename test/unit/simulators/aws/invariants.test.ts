import { describe, expect, test } from 'vitest'
import type { Cloud } from '../../../../simulators/aws/cloud.ts'
import type { InvariantRule } from '../../../../simulators/aws/invariants.ts'
import type { NetworkInterface } from '../../../../simulators/aws/cloud/types.ts'
import { OTHER_ZONE, startSimulator } from './support.ts'

/** An account with an instance that has a second interface with an address and a prefix. */
async function account() {
  const started = startSimulator({ settings: { addressChoice: 'lowest' } })
  const { instanceID, interfaceID } = started.launch('m5.large')
  const second = await started.create({ SecondaryPrivateIpAddressCount: 1 })
  await started.attach(second, instanceID, 1)
  await started.ok('AssignPrivateIpAddresses', { NetworkInterfaceId: second, Ipv4PrefixCount: 1 })
  const { cloud } = started.simulator
  const get = (id: string): NetworkInterface => {
    const found = cloud.interfaces.get(id)
    if (found === undefined) throw new Error(id)
    return found
  }
  return { ...started, cloud, primary: get(interfaceID), second: get(second), instance: cloud.instance(instanceID) }
}

test('a sound account has no violation', async () => {
  expect((await account()).simulator.check()).toEqual([])
})

/** What each rule is there to find, brought about behind the back of the rules of the account. */
const BREAKAGES: Record<InvariantRule, (world: Awaited<ReturnType<typeof account>>) => void> = {
  'address-shared': ({ primary, second }) => {
    primary.addresses = { ...primary.addresses, ipv4: [...primary.addresses.ipv4, second.addresses.ipv4[1]!] }
  },
  'address-not-taken': ({ second }) => second.subnet.space.release(second.addresses.ipv4[0]!),
  'address-outside-subnet': ({ second }) => {
    second.addresses = { ...second.addresses, ipv4Prefixes: [0x0a090000] }
  },
  'address-holder': ({ second }) => second.subnet.holders.delete(second.addresses.ipv4[1]!),
  'free-count': ({ second }) => {
    second.addresses = { ...second.addresses, ipv4Prefixes: [] } // forgotten, not given back
  },
  'primary-missing': ({ cloud, primary }) => cloud.interfaces.detach(primary),
  'interface-slots': ({ second, cloud }) => {
    const more = Array.from({ length: 9 }, () => second.subnet.space.takeAny('lowest', cloud.randomAddresses)!)
    for (const one of more) second.subnet.holders.set(one, second)
    second.addresses = { ...second.addresses, ipv4: [...second.addresses.ipv4, ...more] }
  },
  'instance-adapters': ({ cloud, instance, second }) => attachMore(cloud, instance, second, 3),
  'device-index': ({ second }) => {
    second.attachment = { ...second.attachment!, deviceIndex: 0 }
  },
  'attachment-link': ({ instance }) => {
    instance.interfaces.pop()
  },
  zone: ({ second, cloud }) => {
    Object.assign(second, { subnet: cloud.subnet(OTHER_ZONE) })
  },
}

function attachMore(
  cloud: Cloud,
  instance: ReturnType<Cloud['instance']>,
  like: NetworkInterface,
  count: number,
): void {
  for (let index = 0; index < count; index++) {
    const copy = {
      ...like,
      id: `eni-0000000000000000${index}`,
      addresses: { ...like.addresses, ipv4: [], ipv4Prefixes: [] },
    }
    copy.attachment = { ...like.attachment!, id: `eni-attach-${index}`, deviceIndex: 10 + index }
    cloud.interfaces.add(copy)
    cloud.interfaces.attached(copy, copy.attachment.id, instance)
  }
}

describe('each check fires', () => {
  test.each(Object.entries(BREAKAGES))('%s', async (rule, breakIt) => {
    const world = await account()
    breakIt(world)
    expect(world.simulator.check().map((violation) => violation.rule)).toContain(rule)
  })
})
