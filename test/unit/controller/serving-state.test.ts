import { describe, expect, test } from 'vitest'
import { DestructiveLimiter } from '../../../src/controller/destructive-limiter.ts'
import { ServingState } from '../../../src/controller/serving-state.ts'

const serving = (callsPerMinute = 1): ServingState => new ServingState(new DestructiveLimiter(callsPerMinute))

describe('ServingState', () => {
  test('is silent until the provider is prepared, and again once another writer was found', () => {
    const state = serving()
    expect(state.isSilent).toBe(true)
    expect([state.setPrepared(true), state.setPrepared(true)]).toEqual([true, false])
    expect(state.isSilent).toBe(false)
    expect(state.noteSecondWriter('node-1', 'spec.ipam.pool')).toBe(true)
    expect(state.noteSecondWriter('node-2', 'status.eni')).toBe(false)
    expect(state.isSilent).toBe(true)
  })

  test('permits nothing destructive before the inventory was read in full, and then as the limiter does', () => {
    const limiter = new DestructiveLimiter(1)
    const state = new ServingState(limiter)
    expect(state.destroyPermit(0, 1)).toEqual({ kind: 'deferred', untilMs: undefined })
    expect([state.noteFullSync(), state.noteFullSync()]).toEqual([true, false])
    expect(state.destroyPermit(0, 1)).toEqual({ kind: 'allowed' })
    limiter.take(0)
    expect(state.destroyPermit(1, 1)).toEqual({ kind: 'deferred', untilMs: 60_000 })
    expect(state.destroyPermit(60_000, 1)).toEqual({ kind: 'allowed' })
  })

  test('stops destructive calls for ever when another writer was found', () => {
    const state = serving()
    state.noteFullSync()
    state.noteSecondWriter('node-1', 'spec.ipam.pool')
    expect(state.destroyPermit(0, 1)).toEqual({ kind: 'deferred', untilMs: undefined })
  })

  test('has missing instances wait for the first full sync, while one is under way', () => {
    const state = serving()
    expect(state.missingReadsFromMs(undefined)).toBe(0)
    expect(state.missingReadsFromMs(5_000)).toBe(35_000)
    state.noteFullSync()
    expect(state.missingReadsFromMs(700_000)).toBe(0)
  })

  test('says what is missing to be ready', () => {
    const state = serving()
    expect(state.readiness().reasons).toHaveLength(2)
    state.setPrepared(true)
    state.setListed()
    expect(state.readiness()).toEqual({ ok: true, reasons: [] })
    state.noteSecondWriter('node-1', 'spec.ipam.pool')
    expect(state.readiness()).toEqual({
      ok: false,
      reasons: ['another controller writes spec.ipam.pool of CiliumNode node-1: nothing is written until a restart'],
    })
  })
})
