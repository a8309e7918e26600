import { describe, expect, test } from 'vitest'
import { addresses, duration, ordinal, perSecond } from '../../../src/explain/durations.ts'
import { describeExplanation, explanationOf } from '../../../src/explain/explanation.ts'
import type { Reason } from '../../../src/explain/reasons.ts'

const AT = new Date(Date.UTC(2026, 0, 1))
const SHORT: Reason = {
  code: 'node-short',
  node: 'node-1',
  neededIPs: 3,
  availableIPs: 16,
  usedIPs: 11,
  because: 'buffer',
}
const QUEUED: Reason = {
  code: 'waits-for-quota',
  action: 'AssignPrivateIpAddresses',
  bucket: 'AssignPrivateIpAddresses',
  ahead: 213,
  refillPerSecond: 5,
  priority: 'watermark',
}

describe('an explanation', () => {
  test('is a chain from what is wanted to the cause, with a time', () => {
    const explanation = explanationOf({
      kind: 'pod',
      name: 'default/web-1',
      reasons: [{ code: 'pod-waits', pod: 'default/web-1', node: 'node-1' }, SHORT, QUEUED],
      estimateMs: 43_140,
      at: AT,
    })
    expect(explanation).toMatchObject({ isWaiting: true, estimateSeconds: 43.1, at: '2026-01-01T00:00:00.000Z' })
    expect(describeExplanation(explanation)).toBe(
      [
        'pod default/web-1 is on node node-1 and has no address yet',
        '  └ node-1 is short of 3 addresses: 16 attached, 11 in use or asked for, its buffer is not full',
        '    └ AssignPrivateIpAddresses is 214th in line for its quota at 5/s, class watermark',
        'About 43 s to go.',
        'What to do: Wait; where this is usual, ask the cloud for a higher limit and tell --budget-table.',
        'More: docs/runbooks/waiting-quota.md#waits-for-quota',
      ].join('\n'),
    )
  })

  test('of what stops says so, and what to do', () => {
    const explanation = explanationOf({
      kind: 'node',
      name: 'node-1',
      reasons: [SHORT, { code: 'subnet-full', poolID: 'subnet-b' }],
      estimateMs: undefined,
      at: AT,
    })
    expect(explanation.estimateSeconds).toBeUndefined()
    expect(describeExplanation(explanation)).toContain(
      'Nothing changes until somebody acts.\nWhat to do: Free addresses',
    )
  })

  test('of what is settled has neither time nor advice', () => {
    const reasons = [{ code: 'settled', node: 'node-1', availableIPs: 16, usedIPs: 8 }] as const
    const explanation = explanationOf({ kind: 'node', name: 'node-1', reasons, estimateMs: 5, at: AT })
    expect(explanation).toMatchObject({ isWaiting: false })
    expect(explanation.estimateSeconds).toBeUndefined()
    expect(describeExplanation(explanation)).toBe('node-1 has what it needs: 16 addresses attached, 8 in use')
  })
})

describe('numbers for people', () => {
  test.each([
    [-5, '0 ms'],
    [240, '240 ms'],
    [1_400, '1 s'],
    [43_000, '43 s'],
    [119_400, '119 s'],
    [125_000, '2 min 5 s'],
    [180_000, '3 min'],
    [11_400_000, '3 h 10 min'],
    [7_200_000, '2 h'],
    [518_400_000, '6 days'],
  ])('%d ms is %s', (ms, text) => {
    expect(duration(ms)).toBe(text)
  })

  test.each([
    [1, '1st'],
    [2, '2nd'],
    [3, '3rd'],
    [4, '4th'],
    [11, '11th'],
    [12, '12th'],
    [13, '13th'],
    [21, '21st'],
    [111, '111th'],
    [214, '214th'],
    [1002, '1002nd'],
  ])('%d is the %s', (count, text) => {
    expect(ordinal(count)).toBe(text)
  })

  test('counts and rates', () => {
    expect([addresses(1), addresses(3), perSecond(5), perSecond(3.4999), perSecond(0.25)]).toEqual([
      '1 address',
      '3 addresses',
      '5/s',
      '3.5/s',
      '0.25/s',
    ])
  })
})
