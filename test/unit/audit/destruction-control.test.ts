import { describe, expect, test } from 'vitest'
import type { AuditEntry } from '../../../src/audit/audit-log.ts'
import { AuditLog } from '../../../src/audit/audit-log.ts'
import { DestructionControl } from '../../../src/audit/destruction-control.ts'
import type { DestructionProof, DestructionSubject } from '../../../src/ipam/destruction.ts'
import { guarded } from '../../../src/ipam/destruction.ts'
import { CloudAPIError } from '../../../src/ipam/errors.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const SUBJECT = { node: 'a', instanceID: 'i-1', interfaceID: 'eni-1', addresses: ['10.0.0.1'] }

async function world() {
  const clock = new ManualClock()
  await clock.advance(600_000)
  const entries: AuditEntry[] = []
  const outcomes: string[] = []
  const disk = { isFull: false }
  const write = (entry: AuditEntry): void => {
    if (disk.isFull) throw new Error('ENOSPC: no space left on device')
    entries.push(entry)
  }
  const audit = new AuditLog({ identity: 'replica-0', clock, write, onLost: () => outcomes.push('lost') })
  const onCall = (outcome: string, action: string): void => void outcomes.push(`${outcome} ${action}`)
  const control = new DestructionControl({ audit, clock, onCall })
  let sent = 0
  const proofOf = (parts: Partial<DestructionProof> = {}): DestructionProof => ({
    basis: 'agent-gave-up',
    readStartedAtMs: clock.now() - 2_500,
    sinceMs: clock.now() - 4_000,
    seen: { usedIPs: 3 },
    ...parts,
  })
  const call = (parts: Partial<DestructionProof> = {}, subject: DestructionSubject = SUBJECT) =>
    guarded(control, { action: 'Unassign', reason: 'release-excess', subject, proof: proofOf(parts) }, () => {
      sent += 1
      // Whatever is sent is on record by then.
      expect(entries.at(-1)).toMatchObject({ event: 'call' })
      return Promise.resolve('answer')
    })
  return { clock, control, entries, outcomes, disk, proofOf, call, sent: () => sent }
}

describe('a destructive call', () => {
  test('is on record with its proof before it is sent, and its answer after', async () => {
    const { entries, outcomes, call } = await world()
    expect(await call()).toBe('answer')
    expect(entries).toEqual([
      {
        time: '2026-01-01T00:10:00.000Z',
        id: 'replica-0/1',
        event: 'call',
        action: 'Unassign',
        reason: 'release-excess',
        ...SUBJECT,
        proof: {
          basis: 'agent-gave-up',
          readStartedAt: '2026-01-01T00:09:57.500Z',
          ageSeconds: 2.5,
          since: '2026-01-01T00:09:56.000Z',
          seen: { usedIPs: 3 },
        },
      },
      { time: '2026-01-01T00:10:00.000Z', id: 'replica-0/1', event: 'answer', action: 'Unassign', result: 'done' },
    ])
    expect(outcomes).toEqual(['sent Unassign'])
  })

  test('that fails is on record with the class of the failure, and fails as before', async () => {
    const { control, entries, proofOf } = await world()
    const error = new CloudAPIError('Unassign: no answer', { kind: 'unavailable', code: '', action: 'Unassign' })
    const failing = { action: 'Unassign', reason: 'r', subject: SUBJECT, proof: proofOf() }
    await expect(guarded(control, failing, () => Promise.reject(error))).rejects.toBe(error)
    expect(entries.at(-1)).toMatchObject({
      event: 'answer',
      result: 'failed',
      kind: 'unavailable',
      error: error.message,
    })
  })

  test('is not sent while everything is paused, also one that has waited since before', async () => {
    const { control, entries, outcomes, call, sent } = await world()
    control.setFleetPaused(true)
    await expect(call()).rejects.toMatchObject({ name: 'CloudAPIError', kind: 'denied' })
    await expect(call({}, { interfaceID: 'eni-9' })).rejects.toThrow('--pause-destructive')
    control.setFleetPaused(false)
    await call()
    expect(sent()).toBe(1)
    expect(entries).toHaveLength(2)
    expect(outcomes).toEqual(['withheld Unassign', 'withheld Unassign', 'sent Unassign'])
  })

  test('is not sent for a paused node, and is for another one', async () => {
    const { control, call, sent } = await world()
    control.watchNodes(({ node }) => node === 'a')
    await expect(call()).rejects.toThrow('paused for node a')
    await call({}, { ...SUBJECT, node: 'b' })
    expect(sent()).toBe(1)
  })

  test.each([
    { basis: 'agent-gave-up', ageMs: 59_999, isSent: true },
    { basis: 'agent-gave-up', ageMs: 60_000, isSent: false },
    { basis: 'leftover', ageMs: 60_000, isSent: false },
    { basis: 'own-creation', ageMs: 300_000, isSent: true },
    { basis: 'node-gone', ageMs: 300_000, isSent: true },
  ] as const)('on a read of $ageMs ms ($basis) is sent: $isSent', async ({ basis, ageMs, isSent }) => {
    const { clock, call, sent } = await world()
    const made = call({ basis, readStartedAtMs: clock.now() - ageMs })
    if (isSent) await made
    else await expect(made).rejects.toMatchObject({ kind: 'stale' })
    expect(sent()).toBe(isSent ? 1 : 0)
  })

  test('that cannot be put on record is not made', async () => {
    const { disk, call, sent, outcomes } = await world()
    disk.isFull = true
    await expect(call()).rejects.toThrow('the audit log cannot be written: ENOSPC')
    expect(sent()).toBe(0)
    disk.isFull = false
    await call()
    expect(outcomes).toEqual(['sent Unassign'])
  })

  test('whose answer cannot be put on record succeeds all the same, and that is said', async () => {
    const { control, disk, outcomes, proofOf } = await world()
    const call = { action: 'Unassign', reason: 'r', subject: SUBJECT, proof: proofOf() }
    const answer = await guarded(control, call, () => {
      disk.isFull = true
      return Promise.resolve('done')
    })
    expect(answer).toBe('done')
    expect(outcomes).toEqual(['sent Unassign', 'lost'])
  })
})
