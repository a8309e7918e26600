import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { NODE_STATUS } from '../../../src/status-page/status-source.ts'
import { startTelemetryServer } from '../../../src/telemetry/server.ts'
import type { TelemetryServer } from '../../../src/telemetry/server.ts'
import { CHROMIUM, OVERFLOW } from '../../support/chromium.ts'
import { StatusDemo } from '../../support/status-demo.ts'

// What runs in the page is text: its types are those of a browser, ours are not.
/** The longest time between two pictures within 2.5 s (ms). */
const LONGEST_FRAME = `new Promise((resolve) => {
  let longest = 0
  let before = performance.now()
  const endMs = before + 2500
  const look = (now) => {
    longest = Math.max(longest, now - before)
    before = now
    if (now < endMs) requestAnimationFrame(look)
    else resolve(longest)
  }
  requestAnimationFrame(look)
})`
const PAINTED_SHARE = `(() => {
  const canvas = document.querySelector('#map')
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  let painted = 0
  for (let index = 3; index < data.length; index += 4) if (data[index] > 0) painted += 1
  return painted / (data.length / 4)
})()`

let browser: Browser | undefined
const servers: TelemetryServer[] = []
const ok = { ok: true, reasons: [] }

async function serve(demo: StatusDemo): Promise<string> {
  const server = await startTelemetryServer({
    address: '127.0.0.1:0',
    isReady: () => ok,
    isHealthy: () => ok,
    registry: new Registry(),
    routes: demo.routes(),
  })
  servers.push(server)
  return server.url
}

interface Opened {
  readonly page: Page
  /** What the browser complains of, and where it went besides the controller. */
  readonly complaints: string[]
}

async function open(
  url: string,
  options: { readonly width?: number; readonly height?: number; readonly colorScheme?: 'light' | 'dark' } = {},
): Promise<Opened> {
  const { width = 1280, height = 900, colorScheme = 'light' } = options
  const context = await browser!.newContext({ viewport: { width, height }, colorScheme })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) complaints.push(request.url())
  })
  await page.goto(url)
  await page.waitForSelector('.link.live')
  await page.locator('#totals b').first().waitFor()
  return { page, complaints }
}

const text = (page: Page, selector: string): Promise<string> => page.locator(selector).innerText()
const figure = (page: Page, index: number): Promise<string> => page.locator('#totals b').nth(index).innerText()

describe.skipIf(CHROMIUM === undefined)('the status page in Chromium', () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] })
  })

  afterEach(async () => {
    for (const context of browser?.contexts() ?? []) await context.close()
    await Promise.all(servers.splice(0).map((server) => server.close(AbortSignal.abort())))
  })

  afterAll(async () => {
    await browser?.close()
  })

  test('shows nodes, subnets, quota and events, and follows what changes', async () => {
    const demo = new StatusDemo(50)
    const { page, complaints } = await open(await serve(demo))
    expect(await figure(page, 0)).toBe('50')
    expect(await text(page, '#subnets')).toContain('subnet-0a1b2c3d4e5f60003')
    expect(await text(page, '#budget')).toMatch(/DescribeNetworkInterfaces\s+0 of 100\s+paused 12 s\s+3/)
    expect(await text(page, '#calls')).toContain('AssignPrivateIpAddresses')
    expect(await text(page, '#events')).toContain('has no free address')
    demo.put('node-x', ['node-x', 999, 4, 4, 29, NODE_STATUS.dry])
    demo.remove('node-1')
    demo.remove('node-2')
    await page.locator('#totals b', { hasText: /^49$/ }).first().waitFor()
    expect(await text(page, '#waiting li:first-child')).toMatch(/^node-x 4 of 4 in use, 999 missing/)
    expect(complaints).toEqual([])
  })

  test('explains the node that is clicked in the map', async () => {
    const { page, complaints } = await open(await serve(new StatusDemo(50)))
    await page.click('#map', { position: { x: 40, y: 5 } })
    await page.waitForSelector('#explanation .chain li.passes')
    expect(await text(page, '#explanation')).toMatch(/^node-2\n/)
    expect(await text(page, '#explanation')).toContain('214th in line')
    expect(await text(page, '#explanation')).toContain('About 43 s to go.')
    await page.fill('#find', 'node-17')
    await page.press('#find', 'Enter')
    await page.locator('#explanation h2', { hasText: /^node-17$/ }).waitFor()
    expect(complaints).toEqual([])
  })

  test('names are text, whatever they hold', async () => {
    const demo = new StatusDemo(3)
    const name = '<img src=x onerror=alert(1)>'
    demo.put(name, [name, 99, 4, 4, 29, NODE_STATUS.dry])
    const { page, complaints } = await open(await serve(demo))
    expect(await text(page, '#waiting li:first-child')).toContain(name)
    expect(await page.locator('#waiting img').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  test.each([
    { what: 'a telephone', width: 360, height: 740 },
    { what: 'a large screen', width: 1_920, height: 1_080 },
  ])('fits $what with 10,000 nodes, in the dark too', async ({ width, height }) => {
    const demo = new StatusDemo(10_000)
    const { page, complaints } = await open(await serve(demo), { width, height, colorScheme: 'dark' })
    expect(await figure(page, 0)).toBe('10,000')
    const overflow = await page.evaluate<number>(OVERFLOW)
    expect(overflow).toBe(0)
    const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
    expect(ground).toBe('rgb(14, 19, 25)')
    expect(await paintedShare(page)).toBeGreaterThan(0.5)
    expect(complaints).toEqual([])
  })

  test('draws 10,000 nodes that all change in a small part of the second between two messages', async () => {
    const demo = new StatusDemo(10_000)
    const { page } = await open(await serve(demo))
    const frames = page.evaluate<number>(LONGEST_FRAME)
    demo.churn(2_000)
    // Generous: the machine may be busy with other tests.
    expect(await frames).toBeLessThan(600)
  })

  test('says when the controller is gone, and goes on when it is back', async () => {
    const demo = new StatusDemo(5)
    const url = await serve(demo)
    const { page } = await open(url)
    await servers.pop()!.close(AbortSignal.abort())
    await page.waitForSelector('.link.lost')
    const address = url.slice('http://'.length)
    const again = { address, isReady: () => ok, isHealthy: () => ok, registry: new Registry(), routes: demo.routes() }
    servers.push(await startTelemetryServer(again))
    await page.waitForSelector('.link.live', { timeout: 20_000 })
  })
})

test.skipIf(CHROMIUM !== undefined)(
  'the status page in Chromium: not tested, there is no Chromium on this machine',
  () => {
    expect(CHROMIUM).toBeUndefined()
  },
)

/** Part of the map that is painted, in [0, 1]. */
function paintedShare(page: Page): Promise<number> {
  return page.evaluate<number>(PAINTED_SHARE)
}
