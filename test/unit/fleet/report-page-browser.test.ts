import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { renderReportPage } from '../../../src/fleet/report-page/page.ts'
import { CHROMIUM, OVERFLOW } from '../../support/chromium.ts'
import { PAGE } from './report-page-builder.ts'

const colourOf = (selector: string, property: string): string =>
  `getComputedStyle(document.querySelector('${selector}')).${property}`

/** Charts that mark the moment (count). */
const SHOWN_CURSORS = `[...document.querySelectorAll('.cursor')].filter((one) => one.offsetHeight > 0).length`

let browser: Browser | undefined

async function open(width: number, colorScheme: 'light' | 'dark'): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser!.newContext({ viewport: { width, height: 900 }, colorScheme })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => complaints.push(request.url()))
  await page.setContent(renderReportPage(PAGE))
  return { page, complaints }
}

describe.skipIf(CHROMIUM === undefined)('the report of a run in Chromium', () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] })
  })

  afterEach(async () => {
    for (const context of browser?.contexts() ?? []) await context.close()
  })

  afterAll(async () => {
    await browser?.close()
  })

  test('shows the values of the moment under the pointer in every chart, and asks nobody', async () => {
    const { page, complaints } = await open(1280, 'light')
    const area = page.locator('.chart .area').first()
    const { width, height } = (await area.boundingBox())!
    await area.hover({ position: { x: (width * 2.2) / 3, y: height / 2 } })
    expect(await page.locator('#moment').innerText()).toBe('after 2 s')
    const keys = await page.locator('.key').allInnerTexts()
    expect(keys).toEqual(expect.arrayContaining(['served 20', 'waiting 100', 'open 320', 'Assign 50 %', 'Assign 30/s']))
    expect(await page.evaluate<number>(SHOWN_CURSORS)).toBe(6)
    await page.mouse.move(1, 1)
    expect(await page.locator('#moment').innerText()).toBe('')
    expect(complaints).toEqual([])
  })

  test.each([
    { width: 360, scheme: 'light', ground: 'rgb(246, 247, 249)', line: 'rgb(0, 114, 178)' },
    { width: 1920, scheme: 'dark', ground: 'rgb(14, 19, 25)', line: 'rgb(88, 180, 238)' },
  ] as const)(
    'fits $width pixels, $scheme, in the colours of the status page',
    async ({ width, scheme, ground, line }) => {
      const { page, complaints } = await open(width, scheme)
      expect(await page.evaluate<number>(OVERFLOW)).toBe(0)
      expect(await page.evaluate<string>(colourOf('body', 'backgroundColor'))).toBe(ground)
      expect(await page.evaluate<string>(colourOf('.plot path.c0', 'stroke'))).toBe(line)
      expect(await page.evaluate<string>(colourOf('.meter rect', 'fill'))).toBe(line)
      const { height } = (await page.locator('.chart .plot').first().boundingBox())!
      expect(height).toBeGreaterThan(100)
      expect(complaints).toEqual([])
    },
  )
})

test.skipIf(CHROMIUM !== undefined)(
  'the report of a run in Chromium: not tested, there is no Chromium on this machine',
  () => {
    expect(CHROMIUM).toBeUndefined()
  },
)
