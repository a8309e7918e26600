import { LivePanel } from '../fleet/live-panel.ts'
import { renderLine, renderPanel } from '../fleet/progress.ts'
import type { Progress } from '../fleet/progress.ts'
import type { WorldReport } from '../fleet/report.ts'
import { systemClock } from '../runtime/clock.ts'
import type { ProcessVitals } from './process-vitals.ts'
import type { UpOptions } from './up-options.ts'

/** Between two lines where there is no terminal (ms). */
const LINE_INTERVAL_MS = 5000
/** Problems told one by one between two lines (count); further ones are only counted. */
const MAX_PROBLEMS_PER_INTERVAL = 5
const DEFAULT_COLUMNS = 100
const DEFAULT_ROWS = 30
const NO_VITALS = { eventLoopP999Ms: 0, eventLoopMaxMs: 0, rssBytes: 0 }

const clock = systemClock()

/**
 * How a run shows itself: a live panel on a terminal, else a line every few seconds. With `--json` all of it goes to standard error,
 * so that standard output carries the summary alone.
 */
export class UpDisplay {
  readonly #stream: NodeJS.WriteStream
  readonly #options: UpOptions
  readonly #panel: LivePanel | undefined
  #log: readonly string[] = []
  #vitals: ProcessVitals | undefined
  #lastLineMs = -Infinity
  #problems = 0

  constructor(options: UpOptions) {
    this.#options = options
    this.#stream = options.isJSON ? process.stderr : process.stdout
    this.#panel = this.#stream.isTTY ? new LivePanel(this.#stream) : undefined
  }

  /** Lines that stay: how to reach the simulated world from elsewhere. */
  announce(lines: readonly string[]): void {
    this.#stream.write(`${lines.join('\n')}\n\n`)
  }

  /** The end of the controller's log, kept up to date by whoever owns it. */
  showLog(lines: readonly string[]): void {
    this.#log = lines
  }

  showVitals(vitals: ProcessVitals): void {
    this.#vitals = vitals
  }

  update(world: WorldReport): void {
    if (this.#vitals === undefined) return // the controller is still starting
    if (this.#panel !== undefined) {
      // Some terminals say 0.
      const columns = this.#stream.columns || DEFAULT_COLUMNS
      const rows = this.#stream.rows || DEFAULT_ROWS
      this.#panel.draw(renderPanel(this.#progress(world), { columns, rows, hasColor: hasColor() }))
      return
    }
    const nowMs = clock.now()
    if (nowMs - this.#lastLineMs < LINE_INTERVAL_MS) return
    this.#lastLineMs = nowMs
    if (this.#problems > MAX_PROBLEMS_PER_INTERVAL)
      this.#stream.write(`  (${this.#problems - MAX_PROBLEMS_PER_INTERVAL} more warnings and errors)\n`)
    this.#problems = 0
    this.#stream.write(`${renderLine(this.#progress(world))}\n`)
  }

  /** A warning or error of the controller. A panel shows it with the rest of the log. */
  problem(line: string): void {
    if (this.#panel !== undefined) return
    this.#problems++
    if (this.#problems <= MAX_PROBLEMS_PER_INTERVAL) this.#stream.write(`  ${line}\n`)
  }

  close(): void {
    this.#panel?.close()
  }

  #progress(world: WorldReport): Progress {
    const { plan } = this.#options
    return {
      title: `${plan.nodes} nodes ${plan.instanceType} on ${plan.cloud}, seed ${plan.seed}`,
      world,
      controller: this.#vitals?.read() ?? NO_VITALS,
      nodesPlanned: plan.nodes,
      podsPerSecond: plan.podsPerSecond,
      events: this.#log,
    }
  }
}

/** @source https://no-color.org */
function hasColor(): boolean {
  return (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
}
