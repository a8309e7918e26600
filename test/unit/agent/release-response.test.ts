import { describe, expect, test } from 'vitest'
import { releaseResponse } from '../../../src/agent/release-response.ts'
import { RELEASE_STATUSES } from '../../../src/ipam/cilium-node.ts'

describe('releaseResponse', () => {
  test.each([
    { status: 'marked-for-release', isInPool: true, isInUse: false, answer: 'ready-for-release' },
    { status: 'marked-for-release', isInPool: true, isInUse: true, answer: 'do-not-release' },
    { status: 'marked-for-release', isInPool: false, isInUse: false, answer: 'do-not-release' },
    { status: 'marked-for-release', isInPool: false, isInUse: true, answer: 'do-not-release' },
    { status: 'ready-for-release', isInPool: true, isInUse: false, answer: 'ready-for-release' },
    { status: 'ready-for-release', isInPool: false, isInUse: false, answer: 'ready-for-release' },
    { status: 'do-not-release', isInPool: true, isInUse: false, answer: 'do-not-release' },
    { status: 'released', isInPool: false, isInUse: false, answer: undefined },
    { status: 'released', isInPool: true, isInUse: false, answer: 'released' },
  ] as const)('$status, in the pool $isInPool, in use $isInUse: $answer', ({ answer, ...question }) => {
    expect(releaseResponse({ ...question, isPoolAbsent: false })).toBe(answer)
  })

  test.each(RELEASE_STATUSES)('%s stays while the pool is absent', (status) => {
    expect(releaseResponse({ status, isInPool: false, isInUse: false, isPoolAbsent: true })).toBe(status)
  })

  test('a state outside of the protocol fails loudly instead of opening an address', () => {
    const question = { isInPool: true, isInUse: false, isPoolAbsent: false }
    expect(() => releaseResponse({ ...question, status: 'gone' as never })).toThrow('Unexpected value: "gone"')
  })

  test('an address in use is never given up', () => {
    for (const isInPool of [true, false])
      expect(releaseResponse({ status: 'marked-for-release', isInPool, isInUse: true, isPoolAbsent: false })).not.toBe(
        'ready-for-release',
      )
  })
})
