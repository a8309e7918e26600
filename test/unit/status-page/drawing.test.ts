import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  formatCount,
  formatDuration,
  formatNumber,
  formatValue,
  meter,
  numberTicks,
  plot,
  timeTicks,
  topOf,
} from '../../../src/status-page/assets/drawing.js'
import { drawingSources } from '../../../src/status-page/drawing-sources.ts'

describe('the marks of an axis', () => {
  test.each([
    { max: 0, ticks: [0, 0.5, 1] },
    { max: 1, ticks: [0, 0.5, 1] },
    { max: 7, ticks: [0, 2, 4, 6, 8] },
    { max: 1000, ticks: [0, 500, 1000] },
    { max: 0.03, ticks: [0, 0.01, 0.02, 0.03] },
  ])('numbers up to $max', ({ max, ticks }) => {
    expect(numberTicks(max, 4)).toEqual(ticks)
  })

  test.each([
    { max: 90, ticks: [0, 15, 30, 45, 60, 75, 90] },
    { max: 3_600, ticks: [0, 600, 1_200, 1_800, 2_400, 3_000, 3_600] },
    { max: 0.5, ticks: [0, 0.1, 0.2, 0.3, 0.4, 0.5] },
  ])('times up to $max s', ({ max, ticks }) => {
    expect(timeTicks(max, 6)).toEqual(ticks)
  })
})

test.each([
  { seconds: 0, text: '0 s' },
  { seconds: 0.35, text: '350 ms' },
  { seconds: 87.42, text: '87.4 s' },
  { seconds: 600, text: '10 min' },
  { seconds: 86_400, text: '24 h' },
  { seconds: Infinity, text: 'never' },
  { seconds: null, text: '–' },
])('$seconds s is $text', ({ seconds, text }) => {
  expect(formatDuration(seconds)).toBe(text)
})

test.each([
  { value: Number.NaN, text: '–' },
  { value: 3, text: '3' },
  { value: 0.12345, text: '0.123' },
  { value: 1234.5, text: '1,235' },
  { value: 16_000, text: '16 k' },
  { value: 2_500_000, text: '2.5 M' },
])('$value is $text', ({ value, text }) => {
  expect(formatNumber(value)).toBe(text)
})

test('counts are told to the unit, other values by their unit', () => {
  expect([formatCount(12_345), formatCount(null)]).toEqual(['12,345', '–'])
  expect([formatValue(12_345, 'count'), formatValue(3.456, 'perSecond'), formatValue(0.125, 'share')]).toEqual([
    '12.3 k',
    '3.46/s',
    '12.5 %',
  ])
})

describe('a plot', () => {
  const at = { label: '', moments: [0, 10, 20, 30], from: 0, to: 30, top: 4 }

  test('goes from left to right; a line breaks where there is no value, and so does its ground', () => {
    const svg = plot({ ...at, lines: [{ values: [0, 4, null, 2], colour: 'c3', isFilled: true, isDashed: true }] })
    expect(svg).toContain('<path class="c3 dashed" d="M0 300L333.3 0M1000 150"/>')
    expect(svg).toContain('<path class="c3 filled" d="M0 300L333.3 0V300H0ZM1000 150V300H1000Z"/>')
  })

  test('has its left edge where it is told, and a line across at every mark', () => {
    const svg = plot({ ...at, from: 20, lines: [{ values: [4, 4, 4, 0], colour: 'c0' }], grid: [0, 4] })
    expect(svg).toContain('d="M-2000 0L-1000 0L0 0L1000 300"')
    expect(svg.match(/<line [^>]*>/g)).toEqual([
      '<line x1="0" x2="1000" y1="300" y2="300"/>',
      '<line x1="0" x2="1000" y1="0" y2="0"/>',
    ])
  })

  test.each([
    { what: 'nothing', moments: [], values: [], d: '' },
    { what: 'one moment', moments: [7], values: [2], d: 'M0 150' },
    { what: 'no value', moments: [7, 8], values: [null, null], d: '' },
  ])('of $what is drawn without numbers that are none', ({ moments, values, d }) => {
    const [from, to] = [moments[0] ?? 0, moments[0] ?? 0]
    const svg = plot({ label: 'x', moments, from, to, top: 4, lines: [{ values, colour: 'c0' }] })
    expect(svg).toContain(`d="${d}"`)
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
  })

  test('is labelled with text, whatever it holds, and has no style of its own', () => {
    const svg = plot({
      ...at,
      label: '"><img src=x onerror=alert(1)>',
      lines: [{ values: [0, 1, 2, 3], colour: 'c0' }],
    })
    expect(svg).toContain('aria-label="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"')
    expect(svg + meter(0.5)).not.toContain('style=')
  })

  test.each([
    { lines: [], top: 1 },
    { lines: [{ values: [null, 0] }], top: 1 },
    { lines: [{ values: [3, null] }, { values: [7] }], top: 7 },
  ])('of $lines has its top at $top', ({ lines, top }) => {
    expect(topOf(lines)).toBe(top)
  })
})

test.each([
  { share: 0.374, width: 37 },
  { share: -1, width: 0 },
  { share: 9, width: 100 },
])('a bar of $share is $width wide', ({ share, width }) => {
  expect(meter(share)).toContain(`<rect width="${width}"`)
  expect(meter(share)).toContain('class="meter"')
  expect(meter(share, true)).toContain('class="meter low"')
})

describe('the sources', () => {
  const { script, style } = drawingSources()

  test('can stand in a page: nothing ends their elements, imports, or asks somebody', () => {
    expect(script).not.toMatch(/<\/script|^import |https?:/m)
    expect(style).not.toMatch(/<\/style|url\(|@import|https?:/)
  })

  test('every colour that is used is there, and has its counterpart in the dark', () => {
    const names = (text: string): string[] => [...text.matchAll(/^ +--(\w+):/gm)].map(([, name]) => name ?? '')
    const [day, dark] = style.split('@media')
    // Green is told from the ground by day and in the dark alike.
    expect(names(dark ?? '')).toEqual(names(day ?? '').filter((name) => name !== 'good'))
    const assets = new URL('../../../src/status-page/assets/', import.meta.url)
    const used = readdirSync(assets)
      .filter((name) => name.endsWith('.css'))
      .map((name) => readFileSync(new URL(name, assets), 'utf8'))
      .join('')
    const defined = new Set(names(used))
    const wanted = [...used.matchAll(/var\(--(\w+)\)/g)].map(([, name]) => name ?? '')
    expect(wanted.filter((name) => !defined.has(name))).toEqual([])
  })
})
