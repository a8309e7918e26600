import { describe, expect, test } from 'vitest'
import { LivePanel } from '../../../src/fleet/live-panel.ts'
import { renderLine, renderPanel } from '../../../src/fleet/progress.ts'
import type { Progress } from '../../../src/fleet/progress.ts'
import { report } from './builders.ts'

const PROGRESS: Progress = {
  title: '50 nodes m5.large on aws, seed 1',
  world: report({
    nodesConverged: 25,
    podsWaiting: 12,
    longestWaitMs: 3240,
    longestRecentWaitMs: 9010,
    isChurning: true,
    podWaits: { count: 400, p50: 1200, p99: 9000, max: 9500 },
    calls: {
      AssignPrivateIpAddresses: { attempts: 123, refused: 2, failed: 1, bucket: { tokens: 75.5, size: 100 } },
      DescribeVpcs: { attempts: 1, refused: 0, failed: 0 },
    },
  }),
  controller: { eventLoopP999Ms: 12.4, eventLoopMaxMs: 34.2, rssBytes: 231 * 2 ** 20 },
  nodesPlanned: 50,
  podsPerSecond: 5,
  events: ['Assigned addresses'],
}

const PLAIN = { columns: 120, rows: 40, hasColor: false }

describe('renderPanel', () => {
  test('says who has enough, who waits and for how long, what was called and what is left of the buckets', () => {
    const text = renderPanel(PROGRESS, PLAIN).join('\n')
    expect(text).toContain('█'.repeat(20) + '░'.repeat(20) + '  25 of 50 have what they need')
    expect(text).toContain('500 of 900 used, on 100 interfaces')
    expect(text).toContain('500, 12 waiting, the longest for 3.2 s; 5/s come and go; longest wait of late 9.0 s')
    expect(text).toMatch(/AssignPrivateIpAddresses +123 +2 +1 +████████░░ 75\/100/)
    expect(text).toMatch(/DescribeVpcs +1 +0 +0 *$/m)
    expect(text).toContain('event loop p99.9 12 ms, max 34 ms; 231 MB')
    expect(text).toContain('Assigned addresses')
  })

  test('shows a broken invariant', () => {
    const world = report({ violations: ['10.0.0.5 is on eni-1 and eni-2'] })
    expect(renderPanel({ ...PROGRESS, world }, PLAIN).join('\n')).toContain(
      'BROKEN      10.0.0.5 is on eni-1 and eni-2',
    )
  })

  test.each([
    { columns: 40, rows: 40, hasColor: false },
    { columns: 40, rows: 12, hasColor: true },
  ])('fits into $columns × $rows with color $hasColor', (style) => {
    const lines = renderPanel(PROGRESS, style)
    expect(lines.length).toBeLessThan(style.rows)
    for (const line of lines) expect(withoutColor(line).length).toBeLessThanOrEqual(40)
  })

  test('colour changes nothing but the colour', () => {
    expect(renderPanel(PROGRESS, { ...PLAIN, hasColor: true }).map(withoutColor)).toEqual(renderPanel(PROGRESS, PLAIN))
  })
})

test('renderLine says the same in one line', () => {
  expect(renderLine(PROGRESS)).toBe(
    '01:01  nodes 25/50  addresses 500/900  interfaces 100  pods 500, 12 waiting, longest of late 9.0 s  calls 124, 2 throttled, 1 failed  ' +
      'loop p99.9 12 ms, max 34 ms  231 MB',
  )
})

test('a panel is drawn over the one before, also when it has become shorter', () => {
  const written: string[] = []
  const panel = new LivePanel({ write: (text) => written.push(text) })
  panel.draw(['one', 'two', 'three'])
  panel.draw(['four'])
  panel.close()
  expect(screenOf(written.join(''))).toEqual(['four', ''])
})

function withoutColor(line: string): string {
  return line
    .split('\u001b')
    .map((part, index) => (index === 0 ? part : part.slice(part.indexOf('m') + 1)))
    .join('')
}

/** What a terminal shows after these texts: as many control sequences as the panel uses. */
function screenOf(text: string): string[] {
  let screen = ['']
  let row = 0
  const [first = '', ...rest] = text.split('\u001b[')
  const print = (plain: string): void => {
    for (const character of plain) {
      if (character === '\n') {
        row++
        screen[row] ??= ''
      } else if (character !== '\r') screen[row] += character
    }
  }
  print(first)
  for (const part of rest) {
    const [, count = '', command = '', plain = ''] = /^\??(\d*)([A-Za-z])([\s\S]*)$/.exec(part) ?? []
    if (command === 'A') {
      row -= Number(count)
      screen[row] = ''
    }
    if (command === 'J') screen = [...screen.slice(0, row), '']
    print(plain)
  }
  return screen
}
