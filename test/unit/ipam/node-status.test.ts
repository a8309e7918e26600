import { describe, expect, test } from 'vitest'
import type { WaitCause } from '../../../src/ipam/node-status.ts'
import { NO_NOTICE, noticeOf, waitCauseOf, wantedSpec, wantedStatus } from '../../../src/ipam/node-status.ts'
import type { FailedStep, IdleReason } from '../../../src/ipam/plan-maintenance.ts'
import { ciliumNode, poolOf } from '../../support/builders.ts'

const NOTHING: WaitCause = { kind: 'nothing' }
const AT_CAPACITY: WaitCause = { kind: 'atCapacity' }
const step = (kind: FailedStep['kind']): FailedStep => ({
  step: 'allocate',
  interfaceID: 'eni-1',
  poolID: 'subnet-1',
  kind,
  message: 'AssignPrivateIpAddresses: refused',
})

describe('waitCauseOf', () => {
  test.each<{ name: string; why: IdleReason; count?: number; current?: WaitCause; cause: WaitCause }>([
    { name: 'settled: nothing', why: { kind: 'settled' }, current: AT_CAPACITY, cause: NOTHING },
    { name: 'in its wait: as it was', why: { kind: 'backoff', untilMs: 5 }, current: AT_CAPACITY, cause: AT_CAPACITY },
    { name: 'held: as it was', why: { kind: 'held' }, current: AT_CAPACITY, cause: AT_CAPACITY },
    { name: 'at capacity', why: { kind: 'atCapacity' }, cause: AT_CAPACITY },
    {
      name: 'missing',
      why: { kind: 'instanceMissing', untilMs: 5 },
      cause: { kind: 'instanceMissing', instanceID: 'i-1' },
    },
    {
      name: 'stopped',
      why: { kind: 'instanceStopped', untilMs: 5 },
      cause: { kind: 'instanceStopped', instanceID: 'i-1' },
    },
    {
      name: 'limits',
      why: { kind: 'limitsUnknown', instanceType: 't' },
      cause: { kind: 'limitsUnknown', instanceType: 't' },
    },
    {
      name: 'no subnet has room',
      why: { kind: 'subnetExhausted', poolID: 'subnet-1' },
      cause: { kind: 'subnetExhausted', poolID: 'subnet-1' },
    },
    {
      name: 'a release that waits: nothing is missing',
      why: { kind: 'releaseDeferred', untilMs: 5 },
      current: AT_CAPACITY,
      cause: NOTHING,
    },
    {
      name: 'no room: at once',
      why: { kind: 'failed', step: step('exhausted') },
      cause: { kind: 'subnetExhausted', poolID: 'subnet-1' },
    },
    { name: 'a first refusal: not worth a write', why: { kind: 'failed', step: step('throttled') }, cause: NOTHING },
    {
      name: 'a second refusal',
      why: { kind: 'failed', step: step('throttled') },
      count: 2,
      cause: {
        kind: 'refused',
        poolID: 'subnet-1',
        interfaceID: 'eni-1',
        message: 'AssignPrivateIpAddresses: refused',
      },
    },
    {
      name: 'a call that was pending has ended',
      why: { kind: 'backoff', untilMs: 5 },
      current: { kind: 'callPending', step: 's', poolID: '', bucket: '' },
      cause: NOTHING,
    },
  ])('$name', ({ why, count = 1, current = NOTHING, cause }) => {
    expect(waitCauseOf(why, { instanceID: 'i-1', failureCount: count, hasBeenRead: true, current })).toEqual(cause)
  })
})

test('a node that has only just joined is not said to be missing', () => {
  const context = { instanceID: 'i-1', failureCount: 0, hasBeenRead: false, current: NOTHING }
  expect(waitCauseOf({ kind: 'instanceMissing', untilMs: 5 }, context)).toEqual(NOTHING)
})

describe('noticeOf', () => {
  test('is rewritten only when the cause changes', () => {
    const exhausted: WaitCause = { kind: 'subnetExhausted', poolID: 'subnet-1' }
    const first = noticeOf(exhausted, NO_NOTICE, '2026-01-01T00:00:10.000Z')
    expect(first.text).toBe(
      'subnet subnet-1 has no free address; next try at 2026-01-01T00:00:10.000Z, then at growing intervals',
    )
    expect(noticeOf({ ...exhausted }, first, '2026-01-01T00:09:00.000Z')).toBe(first)
    expect(noticeOf({ ...exhausted, poolID: 'subnet-2' }, first, undefined).text).toBe(
      'subnet subnet-2 has no free address',
    )
    expect(noticeOf(NOTHING, first, undefined)).toEqual(NO_NOTICE)
  })
})

describe('what a notice says', () => {
  const refused: WaitCause = { kind: 'refused', poolID: '', interfaceID: 'eni-1', message: 'denied' }

  test.each<[WaitCause, string]>([
    [
      { kind: 'noInstanceID' },
      'spec.instance-id is empty: the node cannot be managed until its agent or its owner sets it',
    ],
    [{ kind: 'instanceMissing', instanceID: 'i-1' }, 'waiting for instance i-1 to appear in the cloud'],
    [{ kind: 'instanceStopped', instanceID: 'i-1' }, 'instance i-1 is not running'],
    [{ kind: 'limitsUnknown', instanceType: 'x9' }, "the network limits of instance type 'x9' are not known"],
    [
      AT_CAPACITY,
      'at capacity: every interface that may be used is full and no further one can be attached to the instance',
    ],
    [{ kind: 'subnetExhausted', poolID: '' }, 'no subnet with a free address'],
    [refused, 'denied, eni-1'],
    [{ ...refused, poolID: 'subnet-1', interfaceID: '' }, 'denied, subnet-1'],
    [
      { kind: 'callPending', step: 'allocate', poolID: '', bucket: '' },
      "waiting for the cloud's API (allocate): no answer yet",
    ],
    [
      { kind: 'callPending', step: 'allocate', poolID: 'subnet-1', bucket: 'Assign' },
      "waiting for the cloud's API quota (allocate, subnet subnet-1): queued for bucket Assign",
    ],
  ])('of %j', (cause, text) => {
    expect(noticeOf(cause, NO_NOTICE, undefined)).toEqual({ cause, text })
  })

  test('of a call in line names its turn, not a next try', () => {
    const cause: WaitCause = { kind: 'callPending', step: 's', poolID: '', bucket: 'b' }
    expect(noticeOf(cause, NO_NOTICE, '2026-01-01T00:00:10.000Z').text).toMatch(/; its turn is expected at 2026-\S+Z$/)
  })

  test('of a refusal changes with its message, its subnet or its interface, and stays otherwise', () => {
    const first = noticeOf(refused, NO_NOTICE, undefined)
    expect(noticeOf({ ...refused }, first, '2026-01-01T00:00:10.000Z')).toBe(first)
    for (const change of [{ message: 'throttled' }, { poolID: 'subnet-2' }, { interfaceID: 'eni-2' }])
      expect(noticeOf({ ...refused, ...change }, first, undefined)).not.toBe(first)
  })
})

describe('wantedStatus and wantedSpec', () => {
  const provider = { section: 'eni', value: { enis: {} } } as const
  const releaseIPs = new Map([['10.0.0.1', 'released' as const]])
  const pool = poolOf('eni-1', ['10.0.0.1'])

  test('of a node with a pool', () => {
    expect(
      wantedStatus({
        generation: 'crd-pool',
        provider,
        releaseIPs,
        assignedStaticIP: '203.0.113.1',
        operatorError: '',
      }),
    ).toEqual({ provider, releaseIPs, assignedStaticIP: '203.0.113.1', operatorError: '' })
    expect(wantedSpec(ciliumNode(), { generation: 'undecided', pool, floor: 8 })).toEqual({ pool, preAllocate: 8 })
  })

  test('of a multi-pool node: neither pool nor release map', () => {
    expect(
      wantedStatus({ generation: 'multi-pool', provider, releaseIPs, assignedStaticIP: '', operatorError: 'e' }),
    ).toEqual({ provider, releaseIPs: null, operatorError: 'e' })
    expect(wantedSpec(ciliumNode({ ipam: { preAllocate: 4 } }), { generation: 'multi-pool', pool, floor: 8 })).toEqual({
      pool: null,
    })
  })

  test('leave the inventory alone while it is not known', () => {
    const status = wantedStatus({
      generation: 'crd-pool',
      provider: undefined,
      releaseIPs,
      assignedStaticIP: '',
      operatorError: 'waiting',
    })
    expect(status).not.toHaveProperty('provider')
  })
})
