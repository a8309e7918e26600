import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CIDRReleaseState } from '../../../src/ipam/cidr-release.ts'
import {
  detachable,
  dueCIDRs,
  heldCIDRs,
  narrowToMarked,
  NO_CIDR_RELEASE,
  NO_WITHHELD_CIDRS,
  trackCIDRs,
  unmark,
  withheldWritten,
  withhold,
  withholdTimes,
} from '../../../src/ipam/cidr-release.ts'
import type { ReleaseAction } from '../../../src/ipam/types.ts'

interface Step {
  readonly t: number
  readonly current: readonly string[]
  readonly attached: readonly string[]
}

const track = (steps: readonly Step[], state: CIDRReleaseState = NO_CIDR_RELEASE): CIDRReleaseState =>
  steps.reduce((now, { t, current, attached }) => trackCIDRs(now, { current, attached, nowMs: t }), state)

const ONE = '10.0.0.1/32'
const TWO = '10.0.0.2/32'
const BLOCK = '10.0.0.16/28'

describe('trackCIDRs', () => {
  test.each<{ name: string; steps: Step[]; marked: Record<string, number> }>([
    {
      name: 'the first version marks what is attached and not held',
      steps: [{ t: 5, current: [ONE], attached: [ONE, BLOCK] }],
      marked: { [BLOCK]: 5 },
    },
    {
      name: 'a CIDR that the agent drops is marked',
      steps: [
        { t: 0, current: [ONE, TWO], attached: [ONE, TWO] },
        { t: 10, current: [ONE], attached: [ONE, TWO] },
      ],
      marked: { [TWO]: 10 },
    },
    {
      name: 'the first time stamp stays',
      steps: [
        { t: 0, current: [ONE, TWO], attached: [ONE, TWO] },
        { t: 10, current: [ONE], attached: [ONE, TWO] },
        { t: 20, current: [ONE], attached: [ONE, TWO] },
      ],
      marked: { [TWO]: 10 },
    },
    {
      name: 'a CIDR that is held again is unmarked, and its clock starts anew when it is dropped again',
      steps: [
        { t: 0, current: [ONE], attached: [ONE] },
        { t: 10, current: [], attached: [ONE] },
        { t: 20, current: [ONE], attached: [ONE] },
        { t: 30, current: [], attached: [ONE] },
      ],
      marked: { [ONE]: 30 },
    },
    {
      name: 'a CIDR that is not attached any more is unmarked',
      steps: [
        { t: 0, current: [ONE, TWO], attached: [ONE, TWO] },
        { t: 10, current: [ONE], attached: [ONE, TWO] },
        { t: 20, current: [ONE], attached: [ONE] },
      ],
      marked: {},
    },
    {
      name: 'a CIDR that was attached but never held is left to the agent after the first version',
      steps: [
        { t: 0, current: [ONE], attached: [ONE] },
        { t: 10, current: [ONE], attached: [ONE, BLOCK] },
      ],
      marked: {},
    },
    {
      name: 'IPv6 and invalid CIDRs are never marked',
      steps: [
        { t: 0, current: ['2001:db8::/80', 'x'], attached: ['2001:db8::/80', 'x'] },
        { t: 5, current: [], attached: ['2001:db8::/80', 'x'] },
      ],
      marked: {},
    },
    {
      name: 'other spellings of a CIDR are the same CIDR',
      steps: [
        { t: 0, current: [BLOCK], attached: [BLOCK] },
        { t: 5, current: ['10.0.0.20/28'], attached: [BLOCK] },
      ],
      marked: {},
    },
  ])('$name', ({ steps, marked }) => {
    expect(Object.fromEntries(track(steps).marked)).toEqual(marked)
  })

  test('nothing that the agent holds is ever marked or due', () => {
    const cidrs = fc.subarray([ONE, TWO, BLOCK, '10.0.0.32/28', '2001:db8::/80'])
    const versions = fc.array(fc.record({ current: cidrs, attached: cidrs }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(versions, (list) => {
        let state = NO_CIDR_RELEASE
        for (const [t, view] of list.entries()) {
          state = trackCIDRs(state, { ...view, nowMs: t })
          const held = new Set<string>(view.current)
          const attached = new Set<string>(view.attached)
          for (const cidr of dueCIDRs(state, t, 0)) {
            expect(held.has(cidr)).toBe(false)
            expect(attached.has(cidr)).toBe(true)
            expect(cidr).not.toContain(':')
          }
        }
      }),
      { seed: 20260805, numRuns: 500 },
    )
  })
})

test('a marked CIDR is due when its delay has passed, exactly on it included', () => {
  const state = {
    previous: new Set<string>(),
    marked: new Map([
      [TWO, 100],
      [ONE, 50],
      [BLOCK, 101],
    ]),
  }
  expect(dueCIDRs(state, 1_100, 1_000)).toEqual([ONE, TWO])
  expect(dueCIDRs(state, 1_049, 1_000)).toEqual([])
})

test('what was released is unmarked, the rest stays', () => {
  const state = {
    previous: new Set([ONE]),
    marked: new Map([
      [TWO, 100],
      [BLOCK, 50],
    ]),
  }
  expect(unmark(state, [TWO, ONE])).toEqual({ previous: new Set([ONE]), marked: new Map([[BLOCK, 50]]) })
  expect(state.marked.size).toBe(2)
})

describe('narrowToMarked', () => {
  const action: ReleaseAction = {
    interfaceID: 'eni-1',
    poolID: 'subnet-1',
    ipsToRelease: [],
    ipPrefixesToRelease: [],
    cidrsToRelease: [BLOCK, TWO],
  }

  test('drops what the agent has taken back since', () => {
    const state = track([
      { t: 0, current: [], attached: [BLOCK, TWO] },
      { t: 1, current: [TWO], attached: [BLOCK, TWO] },
    ])
    expect(narrowToMarked(state, action)).toEqual({ ...action, cidrsToRelease: [BLOCK] })
  })

  test('nothing left means no call', () => {
    expect(narrowToMarked(NO_CIDR_RELEASE, action)).toBeUndefined()
  })
})

describe('withheld CIDRs', () => {
  const both = withhold(NO_WITHHELD_CIDRS, [ONE, TWO])
  const written = withheldWritten(both, [ONE], 1_000)

  test.each([
    { delayMs: 180_000, afterMs: 160_000, forMs: 20_000 },
    { delayMs: 20_000, afterMs: 0, forMs: 20_000 },
    { delayMs: 5_000, afterMs: 0, forMs: 5_000 },
    { delayMs: 0, afterMs: 0, forMs: 0 },
  ])('of a delay of $delayMs ms leave after $afterMs ms for $forMs ms', ({ delayMs, afterMs, forMs }) => {
    expect(withholdTimes(delayMs)).toEqual({ afterMs, forMs })
  })

  test('can be detached only once they were written for long enough', () => {
    const at = (nowMs: number): readonly string[] => detachable(written, [ONE, TWO, BLOCK], { nowMs, delayMs: 180_000 })
    expect(at(20_999)).toEqual([])
    expect(at(21_000)).toEqual([ONE])
  })

  test('with a delay of 0 can be detached once they were written', () => {
    expect(detachable(written, [ONE, TWO], { nowMs: 1_000, delayMs: 0 })).toEqual([ONE])
  })

  test('keep the time of the first write', () => {
    expect(withheldWritten(written, [ONE, TWO], 9_000)).toEqual(
      new Map([
        [ONE, 1_000],
        [TWO, 9_000],
      ]),
    )
    expect(withheldWritten(written, [ONE], 9_000)).toBe(written)
    expect(withheldWritten(written, [BLOCK], 9_000)).toBe(written)
  })

  test('that are listed again have to be withheld anew', () => {
    expect(withhold(written, [ONE, TWO])).toBe(written)
    expect(withhold(withhold(written, [TWO]), [ONE, TWO])).toEqual(both)
    expect(withhold(written, [])).toBe(NO_WITHHELD_CIDRS)
  })

  test('are not those that the agent holds', () => {
    const allocated = [
      { pool: 'default', cidrs: ['10.0.0.1', '10.0.0.17/28', 'nonsense'] },
      { pool: 'other', cidrs: [TWO] },
    ]
    expect([...heldCIDRs({ allocated })].sort()).toEqual([BLOCK, TWO].sort())
  })
})
