import { describe, expect, test } from 'vitest'
import { SubnetCache } from '../../../../providers/azure/subnet-cache.ts'
import { CloudAPIError } from '../../../../src/ipam/errors.ts'
import type { JSONObject } from '../../../../src/ipam/types.ts'
import type { CallContext } from '../../../../src/runtime/call-priority.ts'
import { SILENT } from '../../../conformance/adapters/aws-node.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { OTHER_SUBNET, SUBNET } from './builders.ts'

const CONTEXT: CallContext = { priority: 'watermark', reason: 'test', signal: new AbortController().signal }
const DENIED = new CloudAPIError('denied', { kind: 'denied', code: 'AuthorizationFailed', action: 'Subnets.Get' })
const GONE = new CloudAPIError('gone', { kind: 'notFound', code: 'NotFound', action: 'Subnets.Get' })

function makeCache(
  answer: (name: string) => JSONObject,
  options: { filter?: readonly string[]; usages?: readonly JSONObject[] } = {},
) {
  const clock = new ManualClock()
  const reads: string[] = []
  const cache = new SubnetCache({
    api: {
      getSubnet: async ({ subnet }) => {
        reads.push(subnet)
        return answer(subnet)
      },
      listUsages: async () => {
        reads.push('usages')
        if (options.usages === undefined) throw DENIED
        return options.usages
      },
    },
    profile: 'latest',
    subnetIDsFilter: options.filter ?? [],
    clock,
    log: SILENT,
    signal: new AbortController().signal,
  })
  const driven = async (work: Promise<void>): Promise<void> => {
    for (let waited = 0; waited < 8; waited++) await clock.advance(250)
    return work
  }
  return { cache, clock, reads, driven, free: (id = SUBNET) => cache.get(id)?.availableAddresses }
}

const used = (count: number): JSONObject => ({
  id: SUBNET,
  properties: { addressPrefix: '10.0.0.0/24', ipConfigurations: Array.from({ length: count }, () => ({ id: 'x' })) },
})

describe('subnets', () => {
  test('in use are read, the others are forgotten', async () => {
    const { cache, driven } = makeCache(() => used(1))
    await driven(cache.readUsed([SUBNET, OTHER_SUBNET, SUBNET.toUpperCase()], CONTEXT))
    expect([...cache.poolQuota().values()].map(({ availableIPs }) => availableIPs)).toEqual([250, 250])
    await driven(cache.readUsed([OTHER_SUBNET], CONTEXT))
    expect([...cache.open.keys()]).toEqual([OTHER_SUBNET.toLowerCase()])
  })

  test('asked for by many at once are read once', async () => {
    const { cache, driven, reads } = makeCache(() => used(1))
    await driven(
      Promise.all(Array.from({ length: 50 }, () => cache.readStale([SUBNET], CONTEXT))).then(() => undefined),
    )
    await driven(cache.readStale([SUBNET], CONTEXT))
    expect(reads).toEqual(['a'])
  })

  test('that cannot be read stay as they were; those that are gone go', async () => {
    let answer: JSONObject | Error = used(1)
    const { cache, driven, free } = makeCache(() => {
      if (answer instanceof Error) throw answer
      return answer
    })
    await driven(cache.readUsed([SUBNET], CONTEXT))
    answer = DENIED
    await driven(cache.readUsed([SUBNET], CONTEXT))
    expect(free()).toBe(250)
    answer = GONE
    await driven(cache.readUsed([SUBNET], CONTEXT))
    expect(free()).toBeUndefined()
  })

  test('without a prefix that can be read are left out, and so is what is no subnet', async () => {
    const { cache, driven, reads } = makeCache(() => ({ id: SUBNET, properties: {} }))
    await driven(cache.readUsed([SUBNET, 'subnet-1'], CONTEXT))
    expect([cache.open.size, reads]).toEqual([0, ['a']])
  })

  test('that are not in the filter give no addresses, but are known', async () => {
    const { cache, driven, free } = makeCache(() => used(1), { filter: [OTHER_SUBNET.toUpperCase()] })
    await driven(cache.readUsed([SUBNET, OTHER_SUBNET], CONTEXT))
    expect([...cache.open.keys()]).toEqual([OTHER_SUBNET.toLowerCase()])
    expect(free()).toBe(250)
  })
})

describe('the free count', () => {
  const unlisted: JSONObject = { id: SUBNET, properties: { addressPrefix: '10.0.0.0/24' } }

  test('comes from the usages of the network where the list is left out', async () => {
    const { cache, driven, free, reads } = makeCache(() => unlisted, {
      usages: [
        { id: OTHER_SUBNET, currentValue: 1, limit: 251 },
        { id: SUBNET.toUpperCase(), currentValue: 240, limit: 251 },
      ],
    })
    await driven(cache.readUsed([SUBNET], CONTEXT))
    expect([free(), reads]).toEqual([11, ['a', 'usages']])
  })

  test('is all of it where the usages cannot be had either', async () => {
    const { cache, driven, free } = makeCache(() => unlisted)
    await driven(cache.readUsed([SUBNET], CONTEXT))
    expect(free()).toBe(251)
  })

  test('follows our own writes and refusals until the next read', async () => {
    const { cache, driven, free } = makeCache(() => used(1))
    await driven(cache.readUsed([SUBNET], CONTEXT))
    cache.adjustFreeAddresses(SUBNET.toUpperCase(), -10)
    expect(free()).toBe(240)
    cache.adjustFreeAddresses(SUBNET, -1000)
    expect(free()).toBe(0)
    cache.adjustFreeAddresses(SUBNET, 100)
    cache.lowerFreeAddresses(SUBNET, 9)
    expect(free()).toBe(4)
    cache.lowerFreeAddresses(SUBNET, 50)
    expect(free()).toBe(4)
    await driven(cache.readUsed([SUBNET], CONTEXT))
    expect(free()).toBe(250)
  })
})
