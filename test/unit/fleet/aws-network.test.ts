import { expect, test } from 'vitest'
import { createEC2Simulator } from '../../../simulators/aws/index.ts'
import { planNetwork } from '../../../src/fleet/aws-network.ts'

test.each([1, 2000, 39_000, 40_000, 400_000, 4_000_000])(
  'a network for %i addresses has room for them to spare',
  (addresses) => {
    const { world, subnetIDs } = planNetwork('us-east-1', addresses)
    const { cloud } = createEC2Simulator({ world })
    const subnets = subnetIDs.map((id) => cloud.subnet(id))
    const free = subnets.reduce((sum, { space }) => sum + space.free, 0)
    expect(free).toBeGreaterThan(addresses * 1.6)
    expect(new Set(subnets.map(({ availabilityZone }) => availabilityZone)).size).toBe(4)
  },
)

test('more than the private range holds is refused', () => {
  expect(() => planNetwork('us-east-1', 17_000_000)).toThrow(RangeError)
})
