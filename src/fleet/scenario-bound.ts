import { servedCurve } from './bounds.ts'
import type { BucketRate, CurvePoint } from './bounds.ts'
import { amountOf, throttleTableOf } from './scenario.ts'
import type { Scenario, ScenarioStep, ScenarioThrottle } from './scenario.ts'
import type { CloudKind } from './simulated-cloud.ts'

/** What the buckets of a cloud allow. */
export type CloudLimits = Pick<CloudKind, 'documentedThrottle' | 'firstAddressCuts'>

export interface ScenarioBound {
  /** From the beginning of what is measured to the last first address, at best (s). */
  readonly seconds: number
  /** Nodes that joined since and can have their first address, over that time. */
  readonly curve: readonly CurvePoint[]
}

/** What happens to nodes and to buckets (`throttle`; absent: as before) at a moment. */
interface TimelineEvent {
  readonly atSeconds: number
  readonly nodes: number
  readonly throttle?: ScenarioThrottle
}

/**
 * The best possible course of a scenario: nodes join when they do, and each takes one token as soon as there is one. Calls, agents and
 * whatever waits for a fleet that settles take no time here, so that no controller can be faster.
 *
 * @param nodes of the plan (count)
 */
export function scenarioBound(scenario: Scenario, nodes: number, limits: CloudLimits): ScenarioBound {
  const { events, fullUntilSeconds } = timelineOf(scenario, nodes)
  const cutsOf = (throttle: ScenarioThrottle): readonly (readonly BucketRate[])[] =>
    limits.firstAddressCuts(throttleTableOf(throttle, limits.documentedThrottle))
  const curves = cutsOf(scenario.throttle).map((initial, index) =>
    servedCurve([
      { atSeconds: 0, nodes: 0, buckets: initial },
      ...events.map(({ throttle, ...event }) => {
        const buckets = throttle === undefined ? undefined : cutsOf(throttle)[index]
        return buckets === undefined ? event : { ...event, buckets }
      }),
    ]),
  )
  const endOf = (curve: readonly CurvePoint[]): number => curve.at(-1)?.atSeconds ?? 0
  const slowest = curves.reduce((one, other) => (endOf(other) >= endOf(one) ? other : one), [])
  return { seconds: Math.max(endOf(slowest), fullUntilSeconds), curve: slowest }
}

/** @returns what matters since the last `measure`, in order, with times from there */
function timelineOf(
  { steps, throttle }: Scenario,
  nodes: number,
): { readonly events: readonly TimelineEvent[]; readonly fullUntilSeconds: number } {
  let nowMs = 0
  /** When whatever has an end is over. */
  let busyUntilMs = 0
  /** After a wait for the fleet the clock is ahead of this one: a fixed moment may be past. */
  let isExact = true
  let fullUntilMs = 0
  let inForce = throttle
  let events: TimelineEvent[] = []
  const add = (event: Omit<TimelineEvent, 'atSeconds'>, atMs = nowMs): void => {
    events.push({ ...event, atSeconds: atMs / 1000 })
  }
  for (const step of steps) {
    if (isExact) nowMs = Math.max(nowMs, step.atMs ?? 0)
    for (const [atMs, count] of joinsOf(step, nodes, nowMs)) {
      add({ nodes: count }, atMs)
      busyUntilMs = Math.max(busyUntilMs, atMs)
    }
    switch (step.kind) {
      case 'measure':
        events = inForce === throttle ? [] : [{ atSeconds: 0, nodes: 0, throttle: inForce }]
        fullUntilMs = busyUntilMs = nowMs = 0
        isExact = false
        break
      case 'settle':
        nowMs = Math.max(nowMs, busyUntilMs)
        isExact = false
        break
      case 'wait':
        nowMs += step.forMs
        break
      case 'throttle':
        add({ nodes: 0, throttle: step.throttle })
        if (step.forMs === undefined) {
          inForce = step.throttle
          break
        }
        add({ nodes: 0, throttle }, nowMs + step.forMs)
        busyUntilMs = Math.max(busyUntilMs, nowMs + step.forMs)
        break
      case 'churn':
      case 'fault':
        busyUntilMs = Math.max(busyUntilMs, nowMs + (step.forMs ?? 0))
        break
      case 'fillSubnets':
        busyUntilMs = Math.max(busyUntilMs, nowMs + step.forMs)
        // Of nodes that join meanwhile not all are served before there is room.
        if (events.some(({ nodes: count, atSeconds }) => count > 0 && atSeconds * 1000 >= nowMs))
          fullUntilMs = nowMs + step.forMs
        break
      // Joins are counted above; the rest changes neither buckets nor who waits for a first address.
      case 'join':
      case 'replace':
      case 'drain':
      case 'startController':
      case 'stopController':
      case 'startPods':
      case 'stopPods':
        break
      default:
        step satisfies never
    }
  }
  const inOrder = events.toSorted((one, other) => one.atSeconds - other.atSeconds)
  return { events: inOrder, fullUntilSeconds: fullUntilMs / 1000 }
}

/** When how many nodes come with this step (ms, count). */
function* joinsOf(step: ScenarioStep, nodes: number, nowMs: number): Generator<readonly [atMs: number, count: number]> {
  if (step.kind !== 'join' && step.kind !== 'replace') return
  const count = amountOf(step.nodes, nodes)
  if (step.perSecond === undefined) yield [nowMs, count]
  else for (let index = 0; index < count; index++) yield [nowMs + (index * 1000) / step.perSecond, 1]
}
