import { describe, expect, test } from 'vitest'
import type { MaintenanceStep } from '../../../src/ipam/plan-maintenance.ts'
import { EMPTY_STATISTICS } from '../../../src/ipam/statistics.ts'
import type { PriorityInput } from '../../../src/ipam/step-priority.ts'
import { stepPriority } from '../../../src/ipam/step-priority.ts'
import type { AllocationAction, ReleaseAction } from '../../../src/ipam/types.ts'

const allocate: MaintenanceStep = { kind: 'allocate', action: {} as AllocationAction }
const release: MaintenanceStep = {
  kind: 'release',
  action: {} as ReleaseAction,
  proof: { syncedAtMs: 1, wordAtMs: 0 },
}
const read = (why: 'missing' | 'stale' | 'proof'): MaintenanceStep => ({
  kind: 'readInstance',
  why,
  afterMs: undefined,
})

function node(
  availableIPs: number,
  usedIPs: number,
  options: Partial<PriorityInput> & { neededIPs?: number } = {},
): PriorityInput {
  const { neededIPs = 1, ...rest } = options
  return {
    statistics: { ...EMPTY_STATISTICS, ipv4: { ...EMPTY_STATISTICS.ipv4, availableIPs, usedIPs, neededIPs } },
    generation: 'crd-pool',
    minAllocate: 0,
    pendingPods: undefined,
    ...rest,
  }
}

describe('stepPriority', () => {
  test.each<{ name: string; step: MaintenanceStep; input: PriorityInput; priority: string }>([
    {
      name: 'a pending pod and no free address',
      step: allocate,
      input: node(8, 8, { pendingPods: 1 }),
      priority: 'pod-waiting',
    },
    {
      name: 'a pending pod with a free address for it',
      step: allocate,
      input: node(8, 7, { pendingPods: 1 }),
      priority: 'watermark',
    },
    {
      name: 'a multi-pool agent that asks beyond what is attached',
      step: allocate,
      input: node(8, 9, { generation: 'multi-pool' }),
      priority: 'pod-waiting',
    },
    {
      name: "a multi-pool agent's buffer",
      step: allocate,
      input: node(8, 4, { generation: 'multi-pool' }),
      priority: 'watermark',
    },
    { name: 'no address at all', step: allocate, input: node(0, 0), priority: 'below-minimum' },
    { name: 'below min-allocate', step: allocate, input: node(8, 2, { minAllocate: 10 }), priority: 'below-minimum' },
    { name: 'a buffer', step: allocate, input: node(8, 2, { minAllocate: 8 }), priority: 'watermark' },
    { name: 'a release', step: release, input: node(8, 2), priority: 'release' },
    {
      name: 'an interface for pods that wait',
      step: { kind: 'createInterface', action: {} as AllocationAction },
      input: node(8, 8, { pendingPods: 1 }),
      priority: 'pod-waiting',
    },
    {
      name: 'a release of CIDRs',
      step: { ...release, kind: 'releaseCIDRs' },
      input: node(0, 0),
      priority: 'release',
    },
    {
      name: 'a static address, whatever the node needs',
      step: { kind: 'assignStaticIP', tags: {} },
      input: node(0, 0),
      priority: 'watermark',
    },
    { name: 'a proof', step: read('proof'), input: node(0, 0), priority: 'release' },
    {
      name: 'a missing instance without addresses',
      step: read('missing'),
      input: node(0, 0, { neededIPs: 0 }),
      priority: 'below-minimum',
    },
    {
      name: 'a missing instance with addresses',
      step: read('missing'),
      input: node(8, 1, { neededIPs: 0 }),
      priority: 'background',
    },
    {
      name: 'a stale view of a node in need',
      step: read('stale'),
      input: node(8, 8, { pendingPods: 3 }),
      priority: 'pod-waiting',
    },
  ])('$name: $priority', ({ step, input, priority }) => {
    expect(stepPriority(step, input)).toBe(priority)
  })
})
