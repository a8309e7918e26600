import { describe, expect, test } from 'vitest'
import { DOCUMENTED_THROTTLE, chargesFor } from '../../../../simulators/aws/index.ts'
import { Throttle } from '../../../../simulators/kit/rate-limit.ts'
import { filters, startSimulator } from './support.ts'

const accepted = (throttle: Throttle, action: string, count: number, atMs: number, shape = {}): number =>
  Array.from({ length: count }, () =>
    throttle.take(chargesFor({ action, filtered: false, paged: false, resourceCount: 0, ...shape }), atMs),
  ).filter(Boolean).length

describe('the documented buckets', () => {
  test.each([
    ['CreateNetworkInterface', 100, 5],
    ['DeleteNetworkInterface', 100, 5],
    ['ModifyNetworkInterfaceAttribute', 100, 5],
    ['AssignPrivateIpAddresses', 100, 5],
    ['UnassignPrivateIpAddresses', 100, 5],
    ['AssignIpv6Addresses', 100, 5],
    ['AttachNetworkInterface', 50, 5],
    ['DetachNetworkInterface', 50, 5],
    ['AssociateAddress', 50, 5],
    ['CreateVpc', 50, 5],
    ['CreateTags', 100, 10],
    ['DescribeSubnets', 100, 20],
    ['DescribeInstanceTypes', 100, 20],
    ['GetSecurityGroupsForVpc', 100, 20],
    ['DescribeNetworkInterfaces', 50, 10],
    ['DescribeInstances', 50, 10],
    ['DescribeSecurityGroups', 50, 10],
    ['TerminateInstances', 100, 5],
  ])('%s: %i calls at once, then %i a second', (action, size, perSecond) => {
    const throttle = new Throttle(DOCUMENTED_THROTTLE, 0)
    expect(accepted(throttle, action, size + 10, 0)).toBe(size)
    expect(accepted(throttle, action, perSecond + 10, 1000)).toBe(perSecond)
  })

  test.each([
    ['a filter', { filtered: true }],
    ['a page', { paged: true }],
  ])('with %s, the listings of the small bucket use the large one', (_, shape) => {
    const throttle = new Throttle(DOCUMENTED_THROTTLE, 0)
    expect(accepted(throttle, 'DescribeNetworkInterfaces', 110, 0, shape)).toBe(100)
    // The small bucket is another one, untouched.
    expect(accepted(throttle, 'DescribeNetworkInterfaces', 60, 0)).toBe(50)
  })

  test('launches draw on the instances too', () => {
    const throttle = new Throttle(DOCUMENTED_THROTTLE, 0)
    expect(accepted(throttle, 'RunInstances', 5, 0, { resourceCount: 300 })).toBe(3)
  })
})

describe('a throttled simulator', () => {
  test('refuses as the service does, changes nothing, and counts it', async () => {
    const { create, call, simulator, clock } = startSimulator({ throttle: 'documented', world: undefined })
    const subnetID = 'subnet-0000000000000001a'
    for (let index = 0; index < 100; index++) await create({ SubnetId: subnetID })
    const refused = await call('CreateNetworkInterface', { SubnetId: subnetID })
    expect([refused.status, refused.code, refused.message]).toEqual([
      503,
      'RequestLimitExceeded',
      'Request limit exceeded.',
    ])
    expect(simulator.cloud.interfaces.count).toBe(100)
    expect(simulator.calls.counts('CreateNetworkInterface')).toEqual({ attempts: 101, ok: 100, refused: 1, failed: 0 })
    await clock.advance(1000)
    for (let index = 0; index < 5; index++) await create({ SubnetId: subnetID })
    expect((await call('CreateNetworkInterface', { SubnetId: subnetID })).code).toBe('RequestLimitExceeded')
  })

  test('tells a filtered listing from an unfiltered one', async () => {
    const { call } = startSimulator({ throttle: 'documented' })
    const codes = async (parameters: Record<string, string>) => {
      const answers = []
      for (let index = 0; index < 105; index++) answers.push(await call('DescribeNetworkInterfaces', parameters))
      return answers.filter((answer) => answer.code === undefined).length
    }
    expect(await codes({})).toBe(50)
    expect(await codes({ ...filters({ status: 'available' }) } as Record<string, string>)).toBe(100)
  })

  test('another table can be set at the control door, and none', async () => {
    const { call, control } = startSimulator({ throttle: 'documented' })
    await control('PUT', '/_berth/throttle', { rules: [{ bucket: 'DescribeVpcs', size: 1, refillPerSecond: 1 }] })
    expect([(await call('DescribeVpcs')).status, (await call('DescribeVpcs')).status]).toEqual([200, 503])
    expect((await control('GET', '/_berth/throttle')).body.levels).toEqual({ DescribeVpcs: { tokens: 0, size: 1 } })
    await control('PUT', '/_berth/throttle', 'none')
    expect((await call('DescribeVpcs')).status).toBe(200)
  })
})
