import { describe, expect, test } from 'vitest'
import type { FailedStep, NodeSnapshot } from '../../../src/ipam/plan-maintenance.ts'
import { maintenanceGates, planMaintenance, withAmounts } from '../../../src/ipam/plan-maintenance.ts'
import type { AllocationAction, ReleaseAction } from '../../../src/ipam/types.ts'

const NOW_MS = 1_000_000

function action(
  options: { room?: number; candidates?: number; slots?: number; ipv6?: number; interfaceID?: string } = {},
): AllocationAction {
  const { room = 9, slots = 2 } = options
  return {
    interfaceID: options.interfaceID ?? 'eni-1',
    poolID: 'subnet-1',
    ipv4: {
      availableForAllocation: room,
      maxIPsToAllocate: 8,
      interfaceCandidates: options.candidates ?? (room > 0 ? 1 : 0),
    },
    ipv6: { maxPrefixesToAllocate: options.ipv6 ?? 0 },
    emptyInterfaceSlots: slots,
  }
}

/** Interfaces have room, these subnets of theirs have none. */
function withoutRoom(emptyPoolIDs: readonly string[], poolID = ''): AllocationAction {
  const full = action({ room: 0, candidates: 2, slots: 0 })
  return { ...full, poolID, ipv4: { ...full.ipv4, emptyPoolIDs } }
}

function failure(step: FailedStep['step'], kind: FailedStep['kind'], interfaceID = 'eni-1'): FailedStep {
  return { step, kind, interfaceID, poolID: 'subnet-1', message: `${step} ${kind}` }
}

const releaseAction: ReleaseAction = {
  interfaceID: 'eni-1',
  poolID: 'subnet-1',
  ipsToRelease: ['10.0.0.1'],
  ipPrefixesToRelease: [],
  cidrsToRelease: [],
}
const fresh = { syncedAtMs: NOW_MS - 1_000, wordAtMs: NOW_MS - 2_000 }
const old = { syncedAtMs: NOW_MS - 1_000, wordAtMs: NOW_MS - 500 }

function snapshot(options: Partial<NodeSnapshot> = {}): NodeSnapshot {
  return {
    nowMs: NOW_MS,
    isHeld: false,
    backoff: undefined,
    stoppedUntilMs: undefined,
    missing: undefined,
    limitsUnknownOf: undefined,
    staleSinceMs: undefined,
    neededIPs: 0,
    neededIPv6Prefixes: 0,
    allocation: undefined,
    isNewInterfaceSooner: false,
    release: undefined,
    cidrRelease: undefined,
    destroyPermit: { kind: 'allowed' },
    staticIPTags: undefined,
    failures: [],
    reads: 0,
    proofReads: 0,
    ...options,
  }
}

/** A node in need, with these changes. */
function needy(options: Partial<NodeSnapshot> = {}): NodeSnapshot {
  return snapshot({ neededIPs: 8, allocation: action(), ...options })
}

/** The plan in a few words. */
function inShort(node: NodeSnapshot): string {
  const plan = planMaintenance(node)
  if (plan.kind === 'idle') return `idle ${plan.why.kind}`
  return plan.kind === 'readInstance' ? `read ${plan.why}` : plan.kind
}

describe('planMaintenance', () => {
  test.each<{ name: string; node: NodeSnapshot; plan: string }>([
    { name: 'nothing to do', node: snapshot(), plan: 'idle settled' },
    { name: 'held, though in need', node: needy({ isHeld: true }), plan: 'idle held' },
    { name: 'room on an interface', node: needy(), plan: 'allocate' },
    { name: 'no room, but a slot', node: needy({ allocation: action({ room: 0 }) }), plan: 'createInterface' },
    {
      name: 'no room and no slot',
      node: needy({ allocation: action({ room: 0, slots: 0 }) }),
      plan: 'idle atCapacity',
    },
    {
      name: 'interfaces have room, their subnet has none',
      node: needy({ allocation: action({ room: 0, candidates: 1, slots: 0 }) }),
      plan: 'idle subnetExhausted',
    },
    {
      name: 'interfaces have room, the provider knows of no subnet that may get some',
      node: needy({ allocation: withoutRoom([]) }),
      plan: 'idle atCapacity',
    },
    {
      name: 'an IPv6 prefix on an interface without IPv4 room',
      node: snapshot({ neededIPv6Prefixes: 1, allocation: action({ room: 0, ipv6: 1 }) }),
      plan: 'allocate',
    },
    {
      name: 'an IPv6 prefix without any interface for it',
      node: snapshot({ neededIPv6Prefixes: 1, allocation: action({ room: 0, ipv6: 1, interfaceID: '' }) }),
      plan: 'createInterface',
    },
    { name: 'in its wait', node: needy({ backoff: { untilMs: NOW_MS + 1, blocks: 'all' } }), plan: 'idle backoff' },
    { name: 'at the end of its wait', node: needy({ backoff: { untilMs: NOW_MS, blocks: 'all' } }), plan: 'allocate' },
    {
      name: 'in a wait for upkeep only',
      node: needy({ backoff: { untilMs: NOW_MS + 1, blocks: 'upkeep' } }),
      plan: 'allocate',
    },
    {
      name: 'a release in a wait for upkeep',
      node: snapshot({
        release: { action: releaseAction, proof: fresh },
        backoff: { untilMs: NOW_MS + 1, blocks: 'upkeep' },
      }),
      plan: 'idle backoff',
    },
    { name: 'stopped', node: needy({ stoppedUntilMs: NOW_MS + 1 }), plan: 'idle instanceStopped' },
    { name: 'stopped long enough', node: needy({ stoppedUntilMs: NOW_MS }), plan: 'allocate' },
    { name: 'missing, read is due', node: needy({ missing: { nextReadMs: NOW_MS } }), plan: 'read missing' },
    {
      name: 'missing, read is not due',
      node: needy({ missing: { nextReadMs: NOW_MS + 1 } }),
      plan: 'idle instanceMissing',
    },
    { name: 'a new interface is sooner', node: needy({ isNewInterfaceSooner: true }), plan: 'createInterface' },
    {
      name: 'a new interface is sooner, but has no slot',
      node: needy({ isNewInterfaceSooner: true, allocation: action({ slots: 0 }) }),
      plan: 'allocate',
    },
    {
      name: 'a new interface would be sooner, and is denied',
      node: needy({ isNewInterfaceSooner: true, failures: [failure('createInterface', 'denied', '')] }),
      plan: 'allocate',
    },
    {
      name: 'a new interface would be sooner, and is throttled',
      node: needy({ isNewInterfaceSooner: true, failures: [failure('createInterface', 'throttled', '')] }),
      plan: 'idle failed',
    },
    {
      name: 'neither way works',
      node: needy({
        isNewInterfaceSooner: true,
        failures: [failure('createInterface', 'denied', ''), failure('allocate', 'exhausted')],
      }),
      plan: 'idle failed',
    },
    { name: 'stale', node: needy({ staleSinceMs: NOW_MS - 5 }), plan: 'read stale' },
    {
      name: 'stale, and its read failed',
      node: needy({ staleSinceMs: NOW_MS - 5, failures: [failure('readInstance', 'unavailable')] }),
      plan: 'idle failed',
    },
    {
      name: 'stale, and reads do not catch up',
      node: needy({ staleSinceMs: NOW_MS - 5, reads: 3 }),
      plan: 'idle failed',
    },
    {
      name: 'limits unknown',
      node: needy({ limitsUnknownOf: 'm5.large', allocation: undefined }),
      plan: 'idle limitsUnknown',
    },
    { name: 'a public address is wanted', node: snapshot({ staticIPTags: { a: 'b' } }), plan: 'assignStaticIP' },
    {
      name: 'a public address failed, addresses are needed',
      node: needy({ staticIPTags: { a: 'b' }, failures: [failure('assignStaticIP', 'denied')] }),
      plan: 'allocate',
    },
    {
      name: 'a public address failed, nothing else to do',
      node: snapshot({ staticIPTags: { a: 'b' }, failures: [failure('assignStaticIP', 'denied')] }),
      plan: 'idle failed',
    },
    { name: 'a proven release', node: snapshot({ release: { action: releaseAction, proof: fresh } }), plan: 'release' },
    {
      name: 'a release without proof',
      node: snapshot({ release: { action: releaseAction, proof: old } }),
      plan: 'read proof',
    },
    {
      name: 'a release whose proof did not come',
      node: snapshot({ release: { action: releaseAction, proof: old }, proofReads: 1, reads: 1 }),
      plan: 'idle releaseDeferred',
    },
    {
      name: 'a release that never was read',
      node: snapshot({ release: { action: releaseAction, proof: { syncedAtMs: undefined, wordAtMs: 0 } } }),
      plan: 'read proof',
    },
    {
      name: 'a release whose read is a minute old',
      node: snapshot({ release: { action: releaseAction, proof: { syncedAtMs: NOW_MS - 60_000, wordAtMs: 0 } } }),
      plan: 'read proof',
    },
    {
      name: 'a release that the fleet does not permit now',
      node: snapshot({
        release: { action: releaseAction, proof: fresh },
        destroyPermit: { kind: 'deferred', untilMs: undefined },
      }),
      plan: 'idle releaseDeferred',
    },
    {
      name: 'a deferred release does not keep a node from addresses',
      node: needy({
        release: { action: releaseAction, proof: fresh },
        destroyPermit: { kind: 'deferred', untilMs: undefined },
      }),
      plan: 'allocate',
    },
    {
      name: 'a failed proof does not keep a node from addresses',
      node: needy({ release: { action: releaseAction, proof: old }, failures: [failure('readInstance', 'throttled')] }),
      plan: 'allocate',
    },
    {
      name: 'CIDRs of a multi-pool agent come first',
      node: needy({ cidrRelease: { action: releaseAction, proof: fresh } }),
      plan: 'releaseCIDRs',
    },
    {
      name: 'a failed allocation whose need is met another way is no failure',
      node: snapshot({ failures: [failure('allocate', 'exhausted')] }),
      plan: 'idle settled',
    },
  ])('$name: $plan', ({ node, plan }) => {
    expect(inShort(node)).toBe(plan)
  })

  test.each([
    {
      name: 'the one of the chosen interface',
      allocation: withoutRoom(['subnet-1', 'subnet-2'], 'subnet-2'),
      poolID: 'subnet-2',
    },
    { name: 'the only one', allocation: withoutRoom(['subnet-1']), poolID: 'subnet-1' },
    {
      name: 'none of several: room in any of them ends the wait',
      allocation: withoutRoom(['subnet-1', 'subnet-2']),
      poolID: '',
    },
  ])('a node without room waits for a subnet: $name', ({ allocation, poolID }) => {
    const why = { kind: 'subnetExhausted', poolID }
    expect(planMaintenance(needy({ allocation }))).toEqual({ kind: 'idle', why })
  })

  test.each<{ name: string; failures: readonly FailedStep[]; slots?: number; room?: number; plan: string }>([
    { name: 'exhausted → a new interface', failures: [failure('allocate', 'exhausted')], plan: 'createInterface' },
    { name: 'exhausted without a slot', failures: [failure('allocate', 'exhausted')], slots: 0, plan: 'idle failed' },
    {
      name: 'exhausted elsewhere → this interface',
      failures: [failure('allocate', 'exhausted', 'eni-0')],
      plan: 'allocate',
    },
    { name: 'throttled → wait', failures: [failure('allocate', 'throttled')], plan: 'idle failed' },
    { name: 'denied → wait', failures: [failure('allocate', 'denied')], plan: 'idle failed' },
    { name: 'limit once, read since → once more', failures: [failure('allocate', 'limit')], plan: 'allocate' },
    {
      name: 'limit, and the read shows the interface full → a new one',
      failures: [failure('allocate', 'limit')],
      room: 0,
      plan: 'createInterface',
    },
    {
      name: 'limit twice → a new interface',
      failures: [failure('allocate', 'limit'), failure('allocate', 'limit')],
      plan: 'createInterface',
    },
    {
      name: 'no answer twice → wait',
      failures: [failure('allocate', 'unavailable'), failure('allocate', 'unavailable')],
      plan: 'idle failed',
    },
    {
      name: 'a new interface failed → wait',
      failures: [failure('createInterface', 'exhausted', '')],
      room: 0,
      plan: 'idle failed',
    },
    {
      name: 'both failed → wait',
      failures: [failure('allocate', 'exhausted'), failure('createInterface', 'exhausted', '')],
      plan: 'idle failed',
    },
  ])('after a failed step: $name', ({ failures, slots, room, plan }) => {
    const allocation = action({ ...(slots !== undefined && { slots }), ...(room !== undefined && { room }) })
    expect(inShort(needy({ failures, allocation }))).toBe(plan)
  })

  test('a read names the moment that it must come after', () => {
    expect(planMaintenance(needy({ staleSinceMs: 77 }))).toEqual({ kind: 'readInstance', why: 'stale', afterMs: 77 })
    expect(planMaintenance(snapshot({ release: { action: releaseAction, proof: old } }))).toEqual({
      kind: 'readInstance',
      why: 'proof',
      afterMs: old.wordAtMs,
    })
  })
})

describe('withAmounts', () => {
  test.each([
    { name: 'cuts the interface to the amount', needed: 4, ipv6: 0, max: 6, room: 9, expected: [6, 6, 0] },
    { name: 'cuts the amount to the interface', needed: 4, ipv6: 0, max: 20, room: 9, expected: [9, 20, 0] },
    { name: 'asks for no IPv4 address for IPv6 alone', needed: 0, ipv6: 1, max: 12, room: 9, expected: [0, 0, 1] },
    { name: 'never asks for more than one prefix', needed: 1, ipv6: 3, max: 1, room: 9, expected: [1, 1, 1] },
  ])('$name', ({ needed, ipv6, max, room, expected }) => {
    const filled = withAmounts(action({ room }), { neededIPs: needed, neededIPv6Prefixes: ipv6, maxIPsToAllocate: max })
    const { availableForAllocation, maxIPsToAllocate } = filled.ipv4
    expect([availableForAllocation, maxIPsToAllocate, filled.ipv6.maxPrefixesToAllocate]).toEqual(expected)
  })
})

describe('maintenanceGates', () => {
  const base = {
    isWaiting: false,
    isStale: false,
    neededIPs: 0,
    neededIPv6Prefixes: 0,
    staticIPTagCount: 0,
    assignedStaticIP: '',
    releaseEnabled: false,
    excessIPs: 0,
    releaseEntryCount: 0,
    dueCIDRCount: 0,
    profile: 'latest',
  } as const
  test.each([
    { name: 'need', input: { neededIPs: 1 }, gates: [true, false] },
    { name: 'need while waiting', input: { neededIPs: 1, isWaiting: true }, gates: [false, false] },
    { name: 'excess with release', input: { excessIPs: 1, releaseEnabled: true }, gates: [false, true] },
    { name: 'excess while stale', input: { excessIPs: 1, releaseEnabled: true, isStale: true }, gates: [false, false] },
    {
      name: 'a handshake, release switched off',
      input: { releaseEntryCount: 1, isWaiting: true },
      gates: [false, true],
    },
    { name: 'a CIDR past its delay', input: { dueCIDRCount: 1 }, gates: [false, true] },
    {
      name: 'a CIDR past its delay, older profile',
      input: { dueCIDRCount: 1, profile: '1.19' as const },
      gates: [false, false],
    },
    {
      name: 'a public address that is no address',
      input: { staticIPTagCount: 1, assignedStaticIP: 'id-7' },
      gates: [true, false],
    },
    {
      name: 'a public address that is no address, 1.19',
      input: { staticIPTagCount: 1, assignedStaticIP: 'id-7', profile: '1.19' as const },
      gates: [false, false],
    },
    { name: 'a public address, 1.18', input: { staticIPTagCount: 1, profile: '1.18' as const }, gates: [false, false] },
    { name: 'an IPv6 prefix', input: { neededIPv6Prefixes: 1 }, gates: [true, false] },
    { name: 'an IPv6 prefix, 1.19', input: { neededIPv6Prefixes: 1, profile: '1.19' as const }, gates: [false, false] },
  ])('$name', ({ input, gates }) => {
    const { allocationNeeded, releaseNeeded } = maintenanceGates({ ...base, ...input })
    expect([allocationNeeded, releaseNeeded]).toEqual(gates)
  })
})
