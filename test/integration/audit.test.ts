import { afterEach, describe, expect, test } from 'vitest'
import type { AuditedAnswer, AuditedCall } from '../../src/audit/audit-log.ts'
import type { Fleet } from '../support/fleet.ts'
import { CILIUM_NODES_PATH } from '../../simulators/kubernetes/index.ts'
import { closeFleet, MINUTE, settled, write } from '../support/fleet-scenario.ts'

/** The audit log against the simulator's own count of calls, in virtual time. */

afterEach(closeFleet)

const callsOf = (of: Fleet): AuditedCall[] => of.audit.filter((entry) => entry.event === 'call')
const answersOf = (of: Fleet): AuditedAnswer[] => of.audit.filter((entry) => entry.event === 'answer')
const DESTRUCTIVE = ['UnassignPrivateIpAddresses', 'DeleteNetworkInterface', 'DetachNetworkInterface']

const REFUSED = { kind: 'error', code: 'RequestLimitExceeded', status: 503, message: 'Request limit exceeded.' }

/** Attempts that reached EC2, refused ones included. */
const sentTo = (of: Fleet): number => DESTRUCTIVE.reduce((sum, action) => sum + of.calls(action), 0)

/** Pods come and go for so long, twice a minute. */
async function churn(of: Fleet, minutes: number): Promise<void> {
  for (let half = 0; half < 2 * minutes; half++) {
    if (half % 4 < 2) await of.apply({ kind: 'podsGone', count: 14 })
    else for (const node of of.nodes.values()) of.startPods(node, 5)
    await of.advance(MINUTE / 2)
  }
}

describe('the audit log of half an hour of churn', () => {
  test.each(['pool', 'multi-pool'] as const)(
    'has every destructive call with its proof (%s agents)',
    async (generation) => {
      const of = await settled(14, { nodeCount: 4, releaseExcess: true, agentGeneration: generation })
      await churn(of, 30)
      await of.assertInvariants()
      const calls = callsOf(of)
      expect(sentTo(of)).toBeGreaterThan(5)
      expect(calls).toHaveLength(sentTo(of))
      expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length)
      for (const { node, instanceID, interfaceID, addresses = [], cidrs = [], proof, time, reason } of calls) {
        expect(of.nodes.get(node ?? '')?.facts.instanceID).toBe(instanceID)
        expect(interfaceID).toMatch(/^eni-/)
        expect(addresses.length + cidrs.length).toBeGreaterThan(0)
        expect(reason).toBe('release-excess')
        expect(proof.basis).toBe('agent-gave-up')
        expect(Date.parse(proof.since)).toBeLessThan(Date.parse(proof.readStartedAt))
        expect(Date.parse(proof.readStartedAt)).toBeLessThanOrEqual(Date.parse(time))
        expect(proof.ageSeconds).toBeLessThan(60)
        expect(proof.seen).toMatchObject({ generation: generation === 'pool' ? 'crd-pool' : generation })
      }
      expect(
        answersOf(of)
          .map(({ id }) => id)
          .sort(),
      ).toEqual(calls.map(({ id }) => id).sort())
      expect(answersOf(of).every(({ result }) => result === 'done')).toBe(true)
    },
  )

  test('has failed and repeated ones too, while calls are lost and refused', async () => {
    const of = await settled(6, { nodeCount: 4, releaseExcess: true })
    const until = of.clock.now() + 40 * MINUTE
    const lost = { where: 'after-effect', kind: 'drop' }
    of.ec2Faults.add({ action: 'UnassignPrivateIpAddresses', ...lost }, { probability: 0.5 }, until)
    // The attempt to delete tells whether it is attached: it is, and EC2 refuses.
    of.ec2Faults.add({ action: 'AttachNetworkInterface', ...lost }, { count: 2 }, until)
    of.ec2Faults.add({ action: 'AttachNetworkInterface', kind: 'drop' }, { probability: 0.5 }, until)
    of.ec2Faults.add({ action: 'UnassignPrivateIpAddresses', ...REFUSED }, { probability: 0.3 }, until)
    await churn(of, 6)
    // Now a release waits for minutes, and its proof grows old meanwhile.
    await of.apply({ kind: 'throttle', size: 1, refillPerSecond: 0.01, forMs: 4 * MINUTE })
    await churn(of, 8)
    await of.assertInvariants()
    const calls = callsOf(of)
    expect(calls).toHaveLength(sentTo(of))
    expect(new Set(calls.map(({ proof }) => proof.basis))).toEqual(new Set(['agent-gave-up', 'own-creation']))
    const released = calls.filter(({ proof }) => proof.basis === 'agent-gave-up')
    expect(released.filter(({ proof }) => proof.ageSeconds >= 60)).toEqual([])
    const kinds = new Set(answersOf(of).flatMap(({ kind }) => kind ?? []))
    expect([...kinds]).toEqual(expect.arrayContaining(['throttled', 'unavailable', 'conflict']))
  })

  test('has the leftover interfaces that are collected, and the CiliumNodes whose nodes are gone', async () => {
    const of = await settled(4, {
      nodeCount: 3,
      flags: ['--eni-gc-interval=60s', '--nodes-gc-interval=60s', '--cluster-name=test'],
    })
    const before = of.calls('DeleteNetworkInterface')
    // Killed between creation and answer: the interface stays.
    const slow = { action: 'CreateNetworkInterface', where: 'after-effect', kind: 'latency', latencyMs: 30_000 }
    of.ec2Faults.add(slow, {}, of.clock.now() + 10_000)
    for (const node of of.nodes.values()) of.startPods(node, 14)
    await of.advance(3_000)
    of.kill()
    await write(of, 'POST', CILIUM_NODES_PATH, {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: { name: 'gone' },
      spec: {},
    })
    await of.advance(15 * MINUTE)
    const calls = callsOf(of)
    const collected = calls.filter(({ proof }) => proof.basis === 'leftover')
    expect(of.calls('DeleteNetworkInterface') - before).toBe(
      calls.filter(({ action }) => action === 'DeleteNetworkInterface').length,
    )
    expect(collected.length).toBeGreaterThan(0)
    for (const { proof } of collected) {
      expect(proof.seen).toMatchObject({ state: 'available', 'io.cilium/cluster-name': 'test' })
      expect(Date.parse(proof.readStartedAt) - Date.parse(proof.since)).toBeGreaterThanOrEqual(60_000)
    }
    const gone = calls.filter(({ proof }) => proof.basis === 'node-gone')
    expect(gone).toMatchObject([{ action: 'delete ciliumnodes', node: 'gone', reason: 'node-gc' }])
  })
})
