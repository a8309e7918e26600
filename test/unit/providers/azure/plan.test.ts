import { expect, test } from 'vitest'
import { maximumAllocatableIPv4, MINIMUM_ALLOCATABLE_IPV4, nodeCapacity } from '../../../../providers/azure/plan.ts'

test.each([
  { usePrimaryAddress: true, nicsWithPrimary: 2, profile: 'latest', capacity: 256 },
  { usePrimaryAddress: false, nicsWithPrimary: 0, profile: 'latest', capacity: 256 },
  { usePrimaryAddress: false, nicsWithPrimary: 2, profile: 'latest', capacity: 254 },
  { usePrimaryAddress: false, nicsWithPrimary: 300, profile: 'latest', capacity: 0 },
  { usePrimaryAddress: true, nicsWithPrimary: 1, profile: '1.19', capacity: 255 },
] as const)('$nicsWithPrimary NICs, primary usable $usePrimaryAddress, profile $profile: $capacity', (row) => {
  expect(nodeCapacity(row)).toBe(row.capacity)
})

test('ceiling and floor are constants of the cloud', () => {
  expect([maximumAllocatableIPv4(), MINIMUM_ALLOCATABLE_IPV4]).toEqual([256, 8])
})
