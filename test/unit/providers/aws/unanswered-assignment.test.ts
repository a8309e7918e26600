import { describe, expect, test } from 'vitest'
import { UnansweredAssignment } from '../../../../providers/aws/unanswered-assignment.ts'
import type { ENI } from '../../../../providers/aws/types.ts'
import { CloudAPIError } from '../../../../src/ipam/errors.ts'
import { contextOf } from '../../../conformance/adapters/aws-node.ts'
import { ManualClock, settle } from '../../../support/manual-clock.ts'
import { eni } from './builders.ts'

const BEFORE = eni({ id: 'eni-1', addresses: ['10.0.0.5'] })

/** An interface of which EC2 shows a change `visibleAfterMs` after the start, or never. */
function world(
  visibleAfterMs: number | undefined,
  {
    changed = eni({ id: 'eni-1', addresses: ['10.0.0.5', '10.0.0.6'] }),
    hasCeiling = true,
  }: { readonly changed?: ENI; readonly hasCeiling?: boolean } = {},
) {
  const clock = new ManualClock()
  const state = { reads: [] as number[], known: BEFORE as ENI | undefined, syncedAtMs: 0, fails: false }
  const unanswered = new UnansweredAssignment()
  const reads = {
    clock,
    hasCeiling,
    interfaceNow: () => state.known,
    syncedAtMs: () => state.syncedAtMs,
    read: () => {
      state.reads.push(clock.now())
      if (state.fails) return Promise.reject(new CloudAPIError('no', { kind: 'throttled', code: '', action: '' }))
      if (visibleAfterMs !== undefined && clock.now() >= visibleAfterMs) state.known = changed
      state.syncedAtMs = clock.now()
      return Promise.resolve()
    },
  }
  const settled = async (limitMs = 60_000) => {
    const outcome: { readonly value: unknown }[] = []
    unanswered.settle(reads, contextOf()).then(
      (value) => outcome.push({ value }),
      (value: unknown) => outcome.push({ value }),
    )
    await settle()
    for (let ms = 0; ms < limitMs && outcome.length === 0; ms += 100) await clock.advance(100)
    return outcome[0]?.value
  }
  return { clock, state, unanswered, settled }
}

describe('an assignment without an answer', () => {
  test('is nothing to wait for when there was none', async () => {
    const { settled, state } = world(undefined)
    expect([await settled(), state.reads]).toEqual([undefined, []])
  })

  test('that shows at once costs no read: another one may have shown it', async () => {
    const { settled, state, unanswered } = world(undefined)
    unanswered.record(BEFORE, 0)
    state.known = eni({ id: 'eni-1', addresses: ['10.0.0.5', '10.0.0.6', '10.0.0.7'] })
    expect([await settled(), state.reads]).toEqual([2, []])
  })

  test('is found when EC2 shows it late', async () => {
    const { settled, state, unanswered, clock } = world(5_000)
    unanswered.record(BEFORE, 0)
    expect(await settled()).toBe(1)
    expect(state.reads).toEqual([1000, 3000, 7000])
    expect(clock.now()).toBeLessThan(10_000)
    expect(await settled()).toBeUndefined() // told once
  })

  test('without a ceiling for the node pods wait three seconds at most', async () => {
    const { settled, state, unanswered } = world(undefined, { hasCeiling: false })
    unanswered.record(BEFORE, 0)
    expect(await settled()).toBeUndefined()
    expect(state.reads).toEqual([1000, 3000])
  })

  test('that had no effect is believed to have had none only after ten seconds', async () => {
    const { settled, state, unanswered } = world(undefined)
    unanswered.record(BEFORE, 0)
    expect(await settled()).toBeUndefined()
    expect(state.reads.at(-1)).toBeGreaterThanOrEqual(10_000)
    expect(state.reads.length).toBeLessThanOrEqual(5)
  })

  test('of an IPv6 prefix is found by the prefix', async () => {
    const { settled, unanswered } = world(1_000, { changed: eni({ ...BEFORE, ipv6Prefixes: ['2001:db8::/80'] }) })
    unanswered.record(BEFORE, 0)
    expect(await settled()).toBe(0)
  })

  test('of an interface that is gone is over', async () => {
    const { settled, state, unanswered } = world(undefined)
    unanswered.record(BEFORE, 0)
    state.known = undefined
    expect([await settled(), state.reads]).toEqual([undefined, []])
  })

  test('stays open when a read fails', async () => {
    const { settled, state, unanswered } = world(2_000)
    unanswered.record(BEFORE, 0)
    state.fails = true
    expect(await settled()).toMatchObject({ kind: 'throttled' })
    state.fails = false
    expect(await settled()).toBe(1)
  })

  test('twice in a row is compared with what was known before the first', async () => {
    const { settled, state, unanswered, clock } = world(undefined)
    unanswered.record(BEFORE, 0)
    state.known = eni({ id: 'eni-1', addresses: ['10.0.0.5', '10.0.0.6'] })
    await clock.advance(3_000)
    unanswered.record(state.known, clock.now())
    expect(await settled()).toBe(1)
  })
})
