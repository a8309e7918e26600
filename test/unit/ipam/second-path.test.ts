import { describe, expect, test } from 'vitest'
import { isNewInterfaceSooner, SECOND_PATH_MARGIN_MS } from '../../../src/ipam/second-path.ts'

interface Case {
  readonly name: string
  readonly available?: number
  readonly used?: number
  readonly hasFailed?: boolean
  readonly allocateMs: number
  readonly createMs: number
  readonly isSooner: boolean
}

describe('isNewInterfaceSooner', () => {
  test.each<Case>([
    { name: 'not while assigning does not wait', allocateMs: 0, createMs: 0, isSooner: false },
    { name: 'while assigning waits longer', allocateMs: 10_000, createMs: 4_000, isSooner: true },
    { name: 'not when both wait alike', allocateMs: 10_000, createMs: 10_000, isSooner: false },
    { name: 'not by the margin alone', allocateMs: 5_000, createMs: 5_000 - SECOND_PATH_MARGIN_MS, isSooner: false },
    { name: 'by more than the margin', allocateMs: 5_000, createMs: 4_999 - SECOND_PATH_MARGIN_MS, isSooner: true },
    {
      name: 'not for a node with a free address',
      available: 9,
      used: 8,
      allocateMs: 9e4,
      createMs: 0,
      isSooner: false,
    },
    { name: 'for a node that has used all', available: 8, used: 8, allocateMs: 9e4, createMs: 0, isSooner: true },
    { name: 'for a node that is asked for more', available: 8, used: 12, allocateMs: 9e4, createMs: 0, isSooner: true },
    { name: 'not after a failed pass', hasFailed: true, allocateMs: 9e4, createMs: 0, isSooner: false },
  ])('$name', ({ available = 0, used = 0, hasFailed = false, allocateMs, createMs, isSooner }) => {
    const expectedWaitMs = (step: 'allocate' | 'createInterface'): number =>
      step === 'allocate' ? allocateMs : createMs
    const input = { availableIPs: available, usedIPs: used, hasFailed, expectedWaitMs }
    expect(isNewInterfaceSooner(input)).toBe(isSooner)
  })
})
