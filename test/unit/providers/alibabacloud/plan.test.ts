import { expect, test } from 'vitest'
import {
  maximumAllocatableIPv4,
  MINIMUM_ALLOCATABLE_IPV4,
  nodeCapacity,
} from '../../../../providers/alibabacloud/plan.ts'

test.each([
  { limits: { adapters: 15, ipv4: 50 }, primaries: 0, max: 700, capacity: 700 },
  { limits: { adapters: 3, ipv4: 10 }, primaries: 1, max: 20, capacity: 19 },
  { limits: { adapters: 2, ipv4: 1 }, primaries: 4, max: 1, capacity: 0 },
  { limits: { adapters: 1, ipv4: 10 }, primaries: 0, max: 0, capacity: 0 },
  { limits: { adapters: 0, ipv4: 10 }, primaries: 0, max: 0, capacity: 0 },
  { limits: undefined, primaries: 0, max: 0, capacity: 0 },
])(
  'limits $limits with $primaries primaries: ceiling $max, capacity $capacity',
  ({ limits, primaries, max, capacity }) => {
    expect(maximumAllocatableIPv4(limits)).toBe(max)
    expect(nodeCapacity(limits, primaries)).toBe(capacity)
  },
)

test('the floor is a constant of the cloud', () => {
  expect(MINIMUM_ALLOCATABLE_IPV4).toBe(8)
})
