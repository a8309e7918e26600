import { describe, expect, test } from 'vitest'
import { rateLimitedWarning } from '../../../src/telemetry/rate-limited-warning.ts'
import { ManualClock } from '../../support/manual-clock.ts'

function setUp(): {
  clock: ManualClock
  lines: { fields: object; message: string }[]
  warning: ReturnType<typeof rateLimitedWarning>
} {
  const clock = new ManualClock()
  const lines: { fields: object; message: string }[] = []
  const nothing = (): void => undefined
  const log = {
    debug: nothing,
    info: nothing,
    error: nothing,
    warn: (fields: object, message: string) => void lines.push({ fields, message }),
  }
  return { clock, lines, warning: rateLimitedWarning({ log, clock, intervalMs: 60_000 }) }
}

describe('rateLimitedWarning', () => {
  test('a thousand warnings about one node are one line a minute, which says how many it stands for', async () => {
    const { clock, lines, warning } = setUp()
    for (let pass = 0; pass < 1000; pass++) {
      warning.warn('node-1 not found', { node: 'node-1' }, 'Instance not found')
      await clock.advance(120)
    }
    expect(lines).toEqual([
      { fields: { node: 'node-1' }, message: 'Instance not found' },
      { fields: { node: 'node-1', suppressed: 499 }, message: 'Instance not found' },
    ])
  })

  test('one node does not hide another', () => {
    const { lines, warning } = setUp()
    warning.warn('node-1', { node: 'node-1' }, 'Instance not found')
    warning.warn('node-2', { node: 'node-2' }, 'Instance not found')
    expect(lines).toHaveLength(2)
  })

  test('a trouble that was over and comes again is said at once', () => {
    const { lines, warning } = setUp()
    warning.warn('node-1', {}, 'Instance not found')
    warning.forget('node-1')
    warning.warn('node-1', {}, 'Instance not found')
    expect(lines).toEqual([
      { fields: {}, message: 'Instance not found' },
      { fields: {}, message: 'Instance not found' },
    ])
  })

  test('remembers a bounded number of keys, the newest', () => {
    const { lines, warning } = setUp()
    for (let key = 0; key <= 100_000; key++) warning.warn(`${key}`, {}, 'w')
    lines.length = 0
    warning.warn('100000', {}, 'w')
    expect(lines).toHaveLength(0)
    warning.warn('0', {}, 'w')
    expect(lines).toHaveLength(1)
  })
})
