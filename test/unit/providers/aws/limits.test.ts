import { describe, expect, test } from 'vitest'
import { LimitsTable } from '../../../../providers/aws/limits.ts'
import type { Limits } from '../../../../src/ipam/types.ts'
import { contextOf, SILENT } from '../../../conformance/adapters/aws-node.ts'
import { ManualClock, settle } from '../../../support/manual-clock.ts'
import { M5_LARGE } from './builders.ts'

function world(answers: (Record<string, Limits> | Error)[] = []) {
  const clock = new ManualClock()
  const state = { reads: 0, latencyMs: 0 }
  const signal = new AbortController().signal
  const table = new LimitsTable({
    read: async () => {
      state.reads += 1
      if (state.latencyMs > 0) await clock.sleep(state.latencyMs, signal)
      const answer = answers.shift() ?? {}
      if (answer instanceof Error) throw answer
      return new Map(Object.entries(answer))
    },
    clock,
    log: SILENT,
    signal,
  })
  return { table, clock, state, signal }
}

describe('limits of instance types', () => {
  test('are read once and kept', async () => {
    const { table, state } = world([{ 'm5.large': M5_LARGE }])
    await table.prepare(contextOf())
    for (let index = 0; index < 100; index++) expect(table.get('m5.large')).toBe(M5_LARGE)
    expect(state.reads).toBe(1)
  })

  test('preparation tries twice, five seconds apart, and then fails', async () => {
    const { table, clock, state } = world([new Error('first'), new Error('second')])
    const prepared = table.prepare(contextOf())
    prepared.catch(() => undefined)
    await clock.advance(4999)
    expect(state.reads).toBe(1)
    await clock.advance(1)
    expect(state.reads).toBe(2)
    await expect(prepared).rejects.toThrow('second')
  })

  test('an unknown type is asked for at most once a minute, by everybody together', async () => {
    const { table, clock, state } = world([{}, { 'new.large': M5_LARGE }])
    await table.prepare(contextOf())
    expect(table.get('new.large')).toBeUndefined()
    await settle()
    expect(state.reads).toBe(1)
    await clock.advance(60_000)
    for (let index = 0; index < 50; index++) table.get(`other-${index}.large`)
    expect(table.get('new.large')).toBeUndefined()
    await settle()
    expect(state.reads).toBe(2)
    expect(table.get('new.large')).toBe(M5_LARGE)
    table.get('other-1.large')
    await settle()
    expect(state.reads).toBe(2)
  })

  test('a look-up waits for the read under way, and shares it', async () => {
    const { table, clock, state, signal } = world([{}, { 'new.large': M5_LARGE }])
    await table.prepare(contextOf())
    await clock.advance(60_000)
    state.latencyMs = 3000
    const found = Promise.all([table.lookup('new.large', signal), table.lookup('new.large', signal)])
    await clock.advance(3000)
    expect(await found).toEqual([M5_LARGE, M5_LARGE])
    expect(state.reads).toBe(2)
  })

  test('a look-up waits at most five and a half seconds', async () => {
    const { table, clock, state, signal } = world([{}, { 'new.large': M5_LARGE }])
    await table.prepare(contextOf())
    await clock.advance(60_000)
    state.latencyMs = 20_000
    let answer: Limits | 'waiting' | undefined = 'waiting'
    void table.lookup('new.large', signal).then((limits) => {
      answer = limits
    })
    await clock.advance(5499)
    expect(answer).toBe('waiting')
    await clock.advance(1)
    expect(answer).toBeUndefined()
  })

  test('a failed read loses nothing', async () => {
    const { table, clock } = world([{ 'm5.large': M5_LARGE }, new Error('x'), new Error('y')])
    await table.prepare(contextOf())
    await clock.advance(60_000)
    table.get('new.large')
    await clock.advance(10_000)
    expect(table.get('m5.large')).toBe(M5_LARGE)
  })
})
