import { describe, expect, test } from 'vitest'
import { IdleNeed } from '../../../src/fleet/idle-need.ts'

const needy = { nodeName: 'a', isNeedy: true, isBlocked: false }

describe('IdleNeed', () => {
  test('fires for a node that waits although nothing stands in its way', () => {
    const idle = new IdleNeed()
    idle.observe([needy], 0)
    idle.observe([needy], 1000)
    expect(idle.waitingLonger(1000, 1000)).toEqual([])
    idle.observe([needy], 1250)
    expect(idle.waitingLonger(1000, 1250)).toEqual(['a'])
    expect(idle.longest).toEqual({ ms: 1250, nodeName: 'a' })
  })

  test.each([
    { name: 'was served meanwhile', between: { ...needy, isNeedy: false } },
    { name: 'was blocked meanwhile', between: { ...needy, isBlocked: true } },
  ])('does not count the time before a node $name', ({ between }) => {
    const idle = new IdleNeed()
    idle.observe([needy], 0)
    idle.observe([between], 900)
    idle.observe([needy], 1000)
    idle.observe([needy], 1800)
    expect(idle.waitingLonger(1000, 1800)).toEqual([])
    expect(idle.longest.ms).toBe(800)
  })
})
