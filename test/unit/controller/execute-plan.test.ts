import { describe, expect, test } from 'vitest'
import { executePlan } from '../../../src/controller/execute-plan.ts'
import { AssertionError } from '../../../src/runtime/assert.ts'
import type { MaintenanceStep } from '../../../src/ipam/plan-maintenance.ts'
import { addressesOfPrefix } from '../../../src/ipam/ip-range.ts'
import type { ReleaseAction } from '../../../src/ipam/types.ts'
import { ciliumNode } from '../../support/builders.ts'
import type { RecordedMetrics } from '../../support/fake-fleet.ts'
import { recordingMetrics } from '../../support/fake-fleet.ts'
import { FakeProvider } from '../../support/fake-provider.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const context = { priority: 'watermark', reason: 'test', signal: new AbortController().signal } as const
const PREFIX = '10.9.0.16/28'
const PROOF = { syncedAtMs: 1, wordAtMs: 0 }

function world() {
  const clock = new ManualClock()
  const provider = new FakeProvider({ clock })
  provider.launch('i-node-1', [{ id: 'eni-a', index: 0, addresses: ['10.9.0.1', '10.9.0.2'], prefixes: [PREFIX] }])
  provider.learn('i-node-1')
  const metrics: RecordedMetrics = recordingMetrics()
  const operations = provider.createNode(ciliumNode())
  const dependencies = { operations, implementation: provider, instanceID: 'i-node-1', metrics, clock }
  const run = (step: MaintenanceStep) => executePlan(step, dependencies, context)
  return { provider, metrics, operations, dependencies, run }
}

const release = (options: Partial<ReleaseAction>): ReleaseAction => ({
  interfaceID: 'eni-a',
  poolID: 'subnet-1',
  ipsToRelease: [],
  ipPrefixesToRelease: [],
  cidrsToRelease: [],
  ...options,
})

describe('executePlan', () => {
  test('counts addresses by what the cloud attached, not by what was asked for', async () => {
    const { operations, metrics, run } = world()
    operations.allocateIPs = () => Promise.resolve({ kind: 'allocated', addressCount: 3 })
    const action = {
      ...operations.prepareIPAllocation(),
      ipv4: { availableForAllocation: 8, maxIPsToAllocate: 8, interfaceCandidates: 1 },
    }
    expect(await run({ kind: 'allocate', action })).toMatchObject({ kind: 'attached', addressCount: 3 })
    expect(metrics.recorded).toEqual([
      ['allocationAttempt', 'allocateIP', 'success', 'subnet-1', 0],
      ['addIPAllocation', 'subnet-1', 3],
    ])
  })

  test('labels a failed creation with its condition and the subnet that was chosen', async () => {
    const { provider, operations, metrics, run } = world()
    provider.fail('createInterface', 'exhausted')
    const outcome = await run({ kind: 'createInterface', action: operations.prepareIPAllocation() })
    expect(outcome).toMatchObject({
      kind: 'failed',
      failure: { step: 'createInterface', kind: 'exhausted', poolID: 'subnet-1' },
    })
    expect(metrics.recorded).toEqual([
      ['allocationAttempt', 'createInterfaceAndAllocateIP', 'unableToCreateENI', 'subnet-1', 0],
    ])
  })

  test('gives prefixes back first, then the addresses outside of them, and counts each once', async () => {
    const { provider, metrics, run } = world()
    const ipsToRelease = [...addressesOfPrefix(PREFIX), '10.9.0.1']
    const outcome = await run({
      kind: 'release',
      action: release({ ipsToRelease, ipPrefixesToRelease: [PREFIX] }),
      proof: PROOF,
    })
    expect(outcome).toEqual({ kind: 'released', addresses: ipsToRelease })
    expect(provider.addressesInCloud('i-node-1')).toEqual(['10.9.0.2'])
    expect(metrics.recorded).toEqual([
      ['releaseAttempt', 'releaseIPPrefixes', 'success', 'subnet-1', 0],
      ['addIPRelease', 'subnet-1', 16],
      ['releaseAttempt', 'releaseIP', 'success', 'subnet-1', 0],
      ['addIPRelease', 'subnet-1', 1],
    ])
  })

  test('a failed release is an outcome with its metric', async () => {
    const { provider, metrics, run } = world()
    provider.fail('releaseIPs', 'throttled')
    const outcome = await run({ kind: 'release', action: release({ ipsToRelease: ['10.9.0.1'] }), proof: PROOF })
    expect(outcome).toMatchObject({
      kind: 'failed',
      failure: { step: 'release', kind: 'throttled', interfaceID: 'eni-a' },
    })
    expect(metrics.recorded).toEqual([['releaseAttempt', 'releaseIP', 'failed', 'subnet-1', 0]])
  })

  test('a part of the CIDRs given back is reported with what stopped the rest', async () => {
    const { operations, metrics, run } = world()
    const error = Object.assign(new Error('stopped'), {})
    Object.assign(operations, {
      cidrs: { releaseCIDRs: () => Promise.resolve({ released: [PREFIX], error }) },
    })
    const outcome = await run({
      kind: 'releaseCIDRs',
      action: release({ cidrsToRelease: [PREFIX, '10.9.0.1/32'] }),
      proof: PROOF,
    })
    expect(outcome).toMatchObject({
      kind: 'cidrsReleased',
      cidrs: [PREFIX],
      failure: { step: 'releaseCIDRs', message: 'stopped' },
    })
    expect(metrics.recorded).toContainEqual(['addIPRelease', 'subnet-1', 16])
  })

  test('a stopped instance is a view that was wrong, whatever the refusal', async () => {
    const { provider, operations, run } = world()
    provider.fail('allocateIPs', 'notRunning')
    const outcome = await run({ kind: 'allocate', action: operations.prepareIPAllocation() })
    expect(outcome).toMatchObject({ kind: 'failed', isInstanceRunning: false, failure: { kind: 'stale' } })
  })

  test('an error that a provider should not throw is an outcome too', async () => {
    const { dependencies, run } = world()
    dependencies.implementation.instanceSync = () => Promise.reject(new TypeError('cut answer'))
    expect(await run({ kind: 'readInstance', why: 'stale', afterMs: 0 })).toMatchObject({
      kind: 'failed',
      failure: { step: 'readInstance', kind: 'unknown', message: 'cut answer' },
    })
  })

  test('a defect of ours is thrown', async () => {
    const { operations, run } = world()
    Object.assign(operations, { staticIP: undefined })
    await expect(run({ kind: 'assignStaticIP', tags: {} })).rejects.toThrow(AssertionError)
  })

  test('a read says whether this very instance changed', async () => {
    const { provider, run } = world()
    expect(await run({ kind: 'readInstance', why: 'stale', afterMs: undefined })).toMatchObject({ hasChanged: false })
    provider.alter('i-node-1', ([first]) => [{ ...first!, addresses: [] }])
    expect(await run({ kind: 'readInstance', why: 'stale', afterMs: undefined })).toMatchObject({ hasChanged: true })
  })
})
