import type { ActionReport, ProcessReport, WorldReport } from './report.ts'

/** What a panel shows. */
export interface Progress {
  /** One line that says what runs: `50 nodes m5.large on aws, seed 1`. */
  readonly title: string
  readonly world: WorldReport
  readonly controller: ProcessReport
  /** Nodes that will be there in the end (count). */
  readonly nodesPlanned: number
  /** Pods that come, and as many that go, in a second (count). */
  readonly podsPerSecond: number
  /** The controller's latest log lines, oldest first. */
  readonly events: readonly string[]
}

export interface PanelStyle {
  /** Size of the terminal (counts of characters and lines). */
  readonly columns: number
  readonly rows: number
  readonly hasColor: boolean
}

const BAR_CELLS = 40
const BUCKET_CELLS = 10
const LABEL_CELLS = 12
/** Actions and log lines shown at most (count): the panel must fit into a terminal of 24 lines. */
const MAX_ACTIONS = 8
const MAX_EVENTS = 4

type Color = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan'
const CODES: Readonly<Record<Color, string>> = { bold: '1', dim: '2', green: '32', yellow: '33', red: '31', cyan: '36' }

/** The lines of the live panel, none wider than the terminal, and one less than it has lines. */
export function renderPanel(progress: Progress, style: PanelStyle): readonly string[] {
  const paint = (color: Color, text: string): string =>
    style.hasColor ? `\u001b[${CODES[color]}m${text}\u001b[0m` : text
  const { world, controller } = progress
  const lines = [
    `${paint('bold', 'berth up')}  ${progress.title}  ${paint('dim', clockText(world.elapsedMs))}`,
    '',
    label('nodes') + nodesText(progress, paint),
    label('addresses') + addressesText(world, paint),
    label('pods') + podsText(progress, paint),
    '',
    paint('dim', `${label('calls')}${actionRow('', 'sent', 'throttled', 'failed')}tokens`),
    ...busiest(world).map(([action, report]) => label('') + actionText(action, report, paint)),
    '',
    label('controller') +
      `event loop p99.9 ${Math.round(controller.eventLoopP999Ms)} ms, max ${Math.round(controller.eventLoopMaxMs)} ms; ${megabytes(controller.rssBytes)}`,
    ...world.violations.map((violation) => paint('red', `${label('BROKEN')}${violation}`)),
    ...(progress.events.length === 0
      ? []
      : ['', ...progress.events.slice(-MAX_EVENTS).map((line) => paint('dim', line))]),
    '',
    paint('dim', 'Ctrl-C ends it'),
  ]
  return lines.slice(0, style.rows - 1).map((line) => clip(line, style.columns))
}

/** One line for a log file or a pipe. */
export function renderLine({ world, controller, nodesPlanned }: Progress): string {
  const calls = Object.values(world.calls)
  const sum = (key: 'attempts' | 'refused' | 'failed'): number => calls.reduce((total, one) => total + one[key], 0)
  const parts = [
    clockText(world.elapsedMs),
    `nodes ${world.nodesConverged}/${nodesPlanned}`,
    `addresses ${world.addressesUsed}/${world.addressesAvailable}`,
    `interfaces ${world.interfaces}`,
    `pods ${world.pods}, ${world.podsWaiting} waiting, longest of late ${seconds(world.longestRecentWaitMs)}`,
    `calls ${sum('attempts')}, ${sum('refused')} throttled, ${sum('failed')} failed`,
    `loop p99.9 ${Math.round(controller.eventLoopP999Ms)} ms, max ${Math.round(controller.eventLoopMaxMs)} ms`,
    megabytes(controller.rssBytes),
  ]
  return parts.join('  ')
}

function nodesText({ world, nodesPlanned }: Progress, paint: (color: Color, text: string) => string): string {
  const isDone = world.nodesConverged === nodesPlanned
  const cells = bar(nodesPlanned === 0 ? 1 : world.nodesConverged / nodesPlanned, BAR_CELLS)
  return `${paint(isDone ? 'green' : 'yellow', cells)}  ${world.nodesConverged} of ${nodesPlanned} have what they need`
}

function addressesText(world: WorldReport, paint: (color: Color, text: string) => string): string {
  const { addressesUsed, addressesAvailable, interfaces } = world
  const cells = bar(addressesAvailable === 0 ? 0 : addressesUsed / addressesAvailable, BAR_CELLS)
  return `${paint('cyan', cells)}  ${addressesUsed} of ${addressesAvailable} used, on ${interfaces} interfaces`
}

function podsText({ world, podsPerSecond }: Progress, paint: (color: Color, text: string) => string): string {
  const { pods, podsWaiting, longestWaitMs, longestRecentWaitMs, isChurning } = world
  const waiting = podsWaiting === 0 ? 'none waits' : `${podsWaiting} waiting, the longest for ${seconds(longestWaitMs)}`
  const churn = isChurning && podsPerSecond > 0 ? `; ${podsPerSecond}/s come and go` : ''
  const recent = `; longest wait of late ${seconds(longestRecentWaitMs)}`
  return `${pods}, ${paint(podsWaiting === 0 ? 'green' : 'yellow', waiting)}${churn}${recent}`
}

/** The actions called most often, by name. */
function busiest({ calls }: WorldReport): readonly (readonly [string, ActionReport])[] {
  return Object.entries(calls)
    .sort(([a, left], [b, right]) => right.attempts - left.attempts || (a < b ? -1 : 1))
    .slice(0, MAX_ACTIONS)
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

function actionText(action: string, report: ActionReport, paint: (color: Color, text: string) => string): string {
  const { attempts, refused, failed, bucket } = report
  const row = actionRow(action, String(attempts), String(refused), String(failed))
  const text = refused + failed > 0 ? paint('yellow', row) : row
  if (bucket === undefined) return text
  const share = bucket.size === 0 ? 0 : bucket.tokens / bucket.size
  return `${text}${paint(share < 0.1 ? 'yellow' : 'dim', bar(share, BUCKET_CELLS))} ${Math.floor(bucket.tokens)}/${bucket.size}`
}

function actionRow(action: string, sent: string, throttled: string, failed: string): string {
  return `${action.padEnd(32)}${sent.padStart(7)}${throttled.padStart(11)}${failed.padStart(8)}  `
}

function label(text: string): string {
  return text.padEnd(LABEL_CELLS)
}

/** @param share in [0, 1] */
function bar(share: number, cells: number): string {
  const filled = Math.round(Math.min(Math.max(share, 0), 1) * cells)
  return '█'.repeat(filled) + '░'.repeat(cells - filled)
}

function clockText(elapsedMs: number): string {
  const total = Math.floor(elapsedMs / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const hours = Math.floor(total / 3600)
  return `${hours > 0 ? `${hours}:` : ''}${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`
}

/** Cuts a line to a width (count of characters); colour codes take none, and stay. */
function clip(line: string, columns: number): string {
  let width = 0
  let isCode = false
  let result = ''
  for (const character of line) {
    if (character === '\u001b') isCode = true
    if (isCode) result += character
    else if (width < columns) {
      result += character
      width++
    }
    if (character === 'm') isCode = false
  }
  return result
}
