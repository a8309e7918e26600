import { describe, expect, test } from 'vitest'
import { builtInLimits } from '../../../../providers/aws/built-in-limits.ts'
import { LimitsTable, type MappedLimits } from '../../../../providers/aws/limits.ts'
import { instanceTypes } from '../../../../simulators/aws/cloud/instance-types.ts'
import { CloudAPIError } from '../../../../src/ipam/errors.ts'
import type { Limits } from '../../../../src/ipam/types.ts'
import { contextOf, SILENT } from '../../../conformance/adapters/aws-node.ts'
import { ManualClock, settle } from '../../../support/manual-clock.ts'
import { M5_LARGE } from './builders.ts'

function world(
  answers: (Record<string, Limits> | Error)[] = [],
  {
    builtIn,
    mapping = {},
    reservedSlots = 0,
  }: {
    readonly builtIn?: Readonly<Record<string, Limits>>
    readonly mapping?: Readonly<Record<string, MappedLimits>>
    readonly reservedSlots?: number
  } = {},
) {
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
    mapping: new Map(Object.entries(mapping)),
    reservedSlots,
    ...(builtIn !== undefined && { builtIn: new Map(Object.entries(builtIn)) }),
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

  test('until EC2 answers the built-in ones serve, and it is asked again once a minute', async () => {
    const own = { ...M5_LARGE, adapters: 99 }
    const down = new CloudAPIError('x', { kind: 'unavailable', code: 'InternalError', action: 'x' })
    const { table, clock, state } = world([down, down, { 'm5.large': own }], { builtIn: { 'm5.large': M5_LARGE } })
    const prepared = table.prepare(contextOf())
    await clock.advance(5000)
    await prepared
    expect(table.get('m5.large')).toEqual(M5_LARGE)
    await clock.advance(54_999)
    table.get('m5.large')
    expect(state.reads).toBe(2)
    await clock.advance(1)
    table.get('m5.large')
    await settle()
    expect(table.get('m5.large')).toEqual(own)
    await clock.advance(600_000)
    table.get('m5.large')
    expect(state.reads).toBe(3)
  })

  test('a refused permission is not asked for twice', async () => {
    const denied = new CloudAPIError('x', { kind: 'denied', code: 'UnauthorizedOperation', action: 'x' })
    const { table, state } = world([denied], { builtIn: { 'm5.large': M5_LARGE } })
    await table.prepare(contextOf())
    expect(state.reads).toBe(1)
  })

  test('counts that the operator maps hold whatever EC2 says; prefixes are only for types known to take them', async () => {
    const mapping = { 'm5.large': { adapters: 2, ipv4: 5, ipv6: 5 }, 'own.type': { adapters: 4, ipv4: 6, ipv6: 0 } }
    const { table } = world([{ 'm5.large': M5_LARGE }], { builtIn: { 'm5.large': M5_LARGE }, mapping })
    expect(table.get('m5.large')).toEqual({ ...M5_LARGE, adapters: 2, ipv4: 5, ipv6: 5 })
    await table.prepare(contextOf())
    expect(table.get('m5.large')).toEqual({ ...M5_LARGE, adapters: 2, ipv4: 5, ipv6: 5 })
    expect(table.get('own.type')).toEqual({ adapters: 4, ipv4: 6, ipv6: 0, hypervisorType: '', isBareMetal: false })
  })
})

describe('the built-in table', () => {
  test('has every type that the simulator offers, with the same limits', () => {
    const table = builtInLimits(false)
    for (const { name, adapters, ipv4, ipv6, hypervisor, bareMetal } of instanceTypes())
      expect(table.get(name), name).toEqual({
        adapters,
        ipv4,
        ipv6,
        hypervisorType: hypervisor,
        isBareMetal: bareMetal,
      })
    expect(table.size).toBe([...instanceTypes()].length)
  })

  test('counts the first network card alone where that is wanted', () => {
    expect(builtInLimits(true).get('trn1.32xlarge')?.adapters).toBe(5)
    expect(builtInLimits(false).get('trn1.32xlarge')?.adapters).toBe(40)
    for (const { adapters } of builtInLimits(true).values()) expect(Number.isInteger(adapters)).toBe(true)
  })
})

describe('slots that are left to volumes', () => {
  const XEN: Limits = { ...M5_LARGE, hypervisorType: 'xen' }
  const METAL: Limits = { ...M5_LARGE, hypervisorType: '', isBareMetal: true }

  test.each([
    { reservedSlots: 1, limits: M5_LARGE, adapters: 2 },
    { reservedSlots: 5, limits: M5_LARGE, adapters: 1 },
    { reservedSlots: 1, limits: METAL, adapters: 2 },
    { reservedSlots: 1, limits: XEN, adapters: 3 },
    { reservedSlots: 0, limits: M5_LARGE, adapters: 3 },
  ])('$reservedSlots of $limits leave $adapters', async ({ reservedSlots, limits, adapters }) => {
    const builtIn = { 'of.table': limits }
    const { table } = world([{ 'of.ec2': limits }], { builtIn, reservedSlots })
    expect(table.get('of.table')?.adapters).toBe(adapters)
    await table.prepare(contextOf())
    expect(table.get('of.ec2')).toEqual({ ...limits, adapters })
    expect(table.get('of.ec2')).toBe(table.get('of.ec2'))
  })

  test('are not taken from what the operator mapped', async () => {
    const mapping = { 'm5.large': { adapters: 2, ipv4: 4, ipv6: 4 } }
    const { table } = world([{ 'm5.large': M5_LARGE }], { mapping, reservedSlots: 1 })
    await table.prepare(contextOf())
    expect(table.get('m5.large')?.adapters).toBe(2)
  })
})
