import { describe, expect, test } from 'vitest'
import { IdleNeed } from '../../../src/fleet/idle-need.ts'

const needy = { nodeName: 'a', isNeedy: true, isBlocked: false }
const details = (idle: IdleNeed, nowMs: number): string[] => idle.violations(1000, nowMs).map(({ detail }) => detail)

describe('IdleNeed', () => {
  test('fires for a node that waits although nothing stands in its way', () => {
    const idle = new IdleNeed()
    idle.observe([needy], 0)
    idle.observe([needy], 1000)
    expect(details(idle, 1000)).toEqual([])
    idle.observe([needy], 1250)
    expect(details(idle, 1250)).toEqual(['a has lacked addresses for more than 1 s although nothing stood in its way'])
  })

  test.each([
    { name: 'was served meanwhile', between: { ...needy, isNeedy: false } },
    { name: 'was blocked meanwhile', between: { ...needy, isBlocked: true } },
  ])('does not count the time before a node $name', ({ between }) => {
    const idle = new IdleNeed()
    idle.observe([needy], 0)
    idle.observe([between], 900)
    idle.observe([needy], 1000)
    idle.observe([needy], 2000)
    expect(details(idle, 2000)).toEqual([])
    expect(details(idle, 2001)).toHaveLength(1)
  })
})
