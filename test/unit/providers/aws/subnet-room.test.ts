import { describe, expect, test } from 'vitest'
import { isOwnRefusal, SubnetRoom } from '../../../../providers/aws/subnet-room.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

const ACTION = 'AssignPrivateIpAddresses'

function room() {
  const clock = new ManualClock()
  const state = { changes: 0 }
  return { clock, state, room: new SubnetRoom(clock, () => (state.changes += 1)) }
}

const listing = (count: number): ReadonlyMap<string, number> => new Map([['s', count]])

describe('what calls under way will take', () => {
  test('is not there for others until they are over', () => {
    const { room: at, state } = room()
    const claim = at.claim('s', 8, 20, ACTION)
    expect([claim?.count, at.free('s', 20)]).toEqual([8, 12])
    claim?.end()
    claim?.end()
    expect([at.free('s', 20), state.changes]).toEqual([20, 2])
  })

  test('is what is left when less is left, and nothing when nothing is', () => {
    const { room: at } = room()
    expect(at.claim('s', 8, 10, ACTION)?.count).toBe(8)
    expect(at.claim('s', 8, 10, ACTION)?.count).toBe(2)
    expect(at.claim('s', 8, 10, ACTION)).toBeUndefined()
  })

  test('is granted in a subnet that is not known', () => {
    const { room: at } = room()
    expect(at.claim('elsewhere', 8, undefined, ACTION)?.count).toBe(8)
    expect(at.claim('elsewhere', 8, undefined, ACTION)?.count).toBe(8)
  })
})

describe('a subnet that refused', () => {
  test('is believed to have half of what it refused, at last none', () => {
    const { room: at } = room()
    for (const [refused, left] of [
      [8, 4],
      [4, 2],
      [2, 1],
      [1, 0],
    ] as const) {
      at.refused('s', refused, 100)
      expect(at.free('s', 100)).toBe(left)
    }
    expect(at.claim('s', 1, 100, ACTION)).toBeUndefined()
  })

  test('turns calls away that waited for their turn meanwhile', () => {
    const { room: at } = room()
    const claim = at.claim('s', 8, 100, ACTION)!
    claim.admit()
    at.refused('s', 1, 100)
    const refusal = (() => {
      try {
        claim.admit()
        return undefined
      } catch (error) {
        return error
      }
    })()
    expect(refusal).toMatchObject({ kind: 'exhausted', message: `${ACTION}: subnet s has no free address left` })
    expect(isOwnRefusal(refusal)).toBe(true)
  })

  test('is asked again after 30 s, then after twice as long each time, at most ten minutes', async () => {
    const { room: at, clock } = room()
    const closedForMs: number[] = []
    for (let refusal = 0; refusal < 7; refusal++) {
      at.refused('s', 1, 100)
      closedForMs.push(at.nextEndMs! - clock.now())
      await clock.advance(closedForMs.at(-1)! - 1)
      expect(at.free('s', 100)).toBe(0)
      await clock.advance(1)
      expect(at.free('s', 100)).toBe(100)
    }
    expect(closedForMs).toEqual([30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000])
  })

  test('is closed no longer by what is refused while it is closed', async () => {
    const { room: at, clock } = room()
    at.refused('s', 8, 100)
    await clock.advance(29_000)
    at.refused('s', 1, 100)
    await clock.advance(1_000)
    expect(at.free('s', 100)).toBe(100)
  })

  test('has what the next listing shows', async () => {
    const { room: at, clock } = room()
    at.refused('s', 1, 20)
    await clock.advance(1)
    at.listed(listing(20), clock.now())
    expect([at.free('s', 20), at.nextEndMs]).toEqual([20, undefined])
  })

  test('and refuses again is opened only by a listing that shows more than the least one since', async () => {
    const { room: at, clock } = room()
    at.refused('s', 1, 20)
    await clock.advance(1)
    at.listed(listing(20), clock.now())
    at.refused('s', 1, 20)
    expect(at.nextEndMs! - clock.now()).toBe(60_000)
    await clock.advance(1)
    for (const count of [20, 3, 3]) {
      at.listed(listing(count), clock.now())
      expect(at.free('s', count)).toBe(0)
    }
    at.listed(listing(4), clock.now())
    expect(at.free('s', 4)).toBe(4)
  })

  test('is not opened by a listing that began before the refusal', async () => {
    const { room: at, clock } = room()
    const startedAtMs = clock.now()
    await clock.advance(5)
    at.refused('s', 1, 20)
    at.listed(listing(50), startedAtMs)
    expect(at.free('s', 50)).toBe(0)
  })

  test('has what we gave back ourselves', () => {
    const { room: at } = room()
    at.refused('s', 1, 20)
    at.changed('s', 16)
    expect(at.free('s', 36)).toBe(16)
    at.changed('s', -10)
    expect(at.free('s', 26)).toBe(6)
  })

  test('begins anew once a call got through', async () => {
    const { room: at, clock } = room()
    at.refused('s', 1, 20)
    await clock.advance(30_000)
    at.changed('s', -1)
    at.refused('s', 1, 20)
    expect(at.nextEndMs! - clock.now()).toBe(30_000)
  })

  test('is forgotten when no listing shows it any more', async () => {
    const { room: at, clock } = room()
    at.refused('s', 1, 20)
    await clock.advance(1)
    at.listed(new Map(), clock.now())
    expect(at.free('s', 20)).toBe(20)
    expect(at.nextEndMs).toBeUndefined()
  })
})
