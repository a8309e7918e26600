import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { Fleet } from './fleet.ts'
import type { Scrape } from './promql.ts'
import { parseExposition, parsePromQL } from './promql.ts'

/** One alert of `deploy/kubernetes/prometheusrule.yaml`. */
export interface AlertRule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly runbook: string }
}

const RULES = new URL('../../deploy/kubernetes/prometheusrule.yaml', import.meta.url)
/** As in `deploy/kubernetes/servicemonitor.yaml` (ms). */
const SCRAPE_INTERVAL_MS = 30_000
/** The longest range of an alert, and some (ms). */
const KEPT_MS = 35 * 60_000

const MS_BY_UNIT: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }

export function alertRules(): readonly AlertRule[] {
  const { spec } = parse(readFileSync(RULES, 'utf8')) as {
    spec: { groups: readonly { rules: readonly AlertRule[] }[] }
  }
  return spec.groups.flatMap(({ rules }) => rules)
}

export function durationMs(text: string): number {
  const [, amount = '', unit = ''] = /^(\d+)([smh])$/.exec(text) ?? []
  return Number(amount) * (MS_BY_UNIT[unit] ?? Number.NaN)
}

/** A Prometheus that scrapes a fleet's controllers and evaluates the alerts, in virtual time. */
export class AlertWatch {
  readonly #fleet: Fleet
  readonly #rules: readonly (AlertRule & { readonly evaluate: ReturnType<typeof parsePromQL> })[]
  readonly #pendingSinceMs = new Map<string, number>()
  #scrapes: Scrape[] = []

  constructor(fleet: Fleet, rules = alertRules()) {
    this.#fleet = fleet
    this.#rules = rules.map((rule) => ({ ...rule, evaluate: parsePromQL(rule.expr) }))
  }

  /** Names of the alerts that fire now. */
  firing(): string[] {
    const nowMs = this.#fleet.clock.now()
    return this.#rules
      .filter(
        (rule) => nowMs - (this.#pendingSinceMs.get(rule.alert) ?? Number.POSITIVE_INFINITY) >= durationMs(rule.for),
      )
      .map(({ alert }) => alert)
  }

  /** Lets time pass, scraping and evaluating on the way. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#fleet.clock.now() + ms
    while (this.#fleet.clock.now() < endMs) {
      await this.#fleet.advance(Math.min(SCRAPE_INTERVAL_MS, endMs - this.#fleet.clock.now()))
      await this.#scrape()
      this.#evaluate()
    }
  }

  /** @returns time until the alert fires, or fires no more (ms). @throws Error when it does not come to that */
  async until(alert: string, isFiring: boolean, withinMs: number): Promise<number> {
    const startMs = this.#fleet.clock.now()
    while (this.firing().includes(alert) !== isFiring) {
      if (this.#fleet.clock.now() - startMs >= withinMs) {
        throw new Error(`${alert} ${isFiring ? 'does not fire' : 'does not clear'} within ${withinMs / 60_000} min`)
      }
      await this.advance(SCRAPE_INTERVAL_MS)
    }
    return this.#fleet.clock.now() - startMs
  }

  async #scrape(): Promise<void> {
    const atMs = this.#fleet.clock.now()
    const samples: Scrape['samples'][number][] = []
    for (const process of this.#fleet.processes) {
      const { registry, ordinal } = process
      if (registry === undefined) continue
      const { samples: own } = parseExposition(await registry.metrics(), atMs)
      samples.push(...own.map((sample) => ({ ...sample, labels: { ...sample.labels, pod: `controller-${ordinal}` } })))
    }
    this.#scrapes = [...this.#scrapes.filter((one) => atMs - one.atMs < KEPT_MS), { atMs, samples }]
  }

  #evaluate(): void {
    const nowMs = this.#fleet.clock.now()
    for (const { alert, evaluate } of this.#rules) {
      const isTrue = evaluate(this.#scrapes, nowMs).length > 0
      if (!isTrue) this.#pendingSinceMs.delete(alert)
      else if (!this.#pendingSinceMs.has(alert)) this.#pendingSinceMs.set(alert, nowMs)
    }
  }
}
