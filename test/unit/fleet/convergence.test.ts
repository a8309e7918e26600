import { expect, test } from 'vitest'
import { missingAddresses } from '../../../src/fleet/convergence.ts'
import type { SupplyView } from '../../../src/fleet/convergence.ts'

const NODE: SupplyView = { available: 18, used: 10, preAllocate: 8, minAllocate: 0, maxAllocate: 0, capacity: 27 }

test.each<{ name: string; node: Partial<SupplyView>; missing: number }>([
  { name: 'holds its watermark', node: {}, missing: 0 },
  { name: 'one pod more', node: { used: 11 }, missing: 1 },
  { name: 'a resource that says 0 means 8', node: { preAllocate: 0, used: 11 }, missing: 1 },
  { name: 'more than it needs', node: { used: 0 }, missing: 0 },
  { name: 'an empty node', node: { available: 0, used: 0 }, missing: 8 },
  { name: 'a floor above the watermark', node: { minAllocate: 20 }, missing: 2 },
  { name: 'a maximum below the watermark', node: { used: 15, maxAllocate: 20 }, missing: 2 },
  { name: 'at its maximum', node: { used: 15, maxAllocate: 18 }, missing: 0 },
  { name: 'an instance that is full', node: { used: 27, available: 27 }, missing: 0 },
  { name: 'an instance that is nearly full', node: { used: 25, available: 26 }, missing: 1 },
])('$name: $missing missing', ({ node, missing }) => {
  expect(missingAddresses({ ...NODE, ...node })).toBe(missing)
})
