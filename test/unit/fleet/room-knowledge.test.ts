import { describe, expect, test } from 'vitest'
import { RoomKnowledge } from '../../support/fleet-room.ts'

describe('room that a controller may not know of yet', () => {
  test('is none where nothing was crowded', () => {
    const room = new RoomKnowledge()
    room.failed(5_000)
    expect(room.mayBeUnknown('a', 6_000)).toBe(false)
  })

  test('is known with the first listing that began after it, and to be known by the next full sync', () => {
    const room = new RoomKnowledge()
    room.cramped('a', 10_000)
    room.listed(9_000)
    expect(room.mayBeUnknown('a', 11_000)).toBe(true)
    expect(room.mayBeUnknown('a', 80_000)).toBe(false)
    room.listed(10_500)
    expect(room.mayBeUnknown('a', 11_000)).toBe(false)
    expect(room.mayBeUnknown('b', 11_000)).toBe(false)
  })

  test('is unknown while listings fail, however long', () => {
    const room = new RoomKnowledge()
    room.cramped('a', 10_000)
    room.failed(12_000)
    expect(room.mayBeUnknown('a', 300_000)).toBe(true)
    room.listed(301_000)
    expect(room.mayBeUnknown('a', 301_500)).toBe(false)
  })
})
