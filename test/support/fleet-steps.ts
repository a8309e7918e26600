import type { Random } from '../../src/runtime/random.ts'
import { EC2_FAULTS, KUBERNETES_FAULTS } from './fleet-faults.ts'

/**
 * One thing that happens to a fleet. Plain data, so that a failing list can be printed and played again. Nodes and subnets are
 * named by a number that is taken modulo those there are, so that a step keeps its meaning when earlier ones are dropped.
 */
export type FleetStep =
  | { readonly kind: 'podBurst'; readonly node: number; readonly count: number }
  | { readonly kind: 'podsGone'; readonly count: number }
  | { readonly kind: 'nodeJoins'; readonly spec: number }
  /** `order`: when the machine, the Node and the CiliumNode go: a permutation of 'INC'; a missing letter stays. */
  | { readonly kind: 'nodeLeaves'; readonly node: number; readonly order: string; readonly gapMs: number }
  | { readonly kind: 'instanceStops'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'throttle'; readonly size: number; readonly refillPerSecond: number; readonly forMs: number }
  | {
      readonly kind: 'ec2Fault'
      readonly fault: string
      readonly probability: number
      readonly count: number
      readonly forMs: number
      /** Only calls about this node; undefined: all. */
      readonly node?: number
    }
  | {
      readonly kind: 'kubernetesFault'
      readonly fault: string
      readonly probability: number
      readonly count: number
      readonly forMs: number
      readonly strikesAgents: boolean
    }
  | { readonly kind: 'staleReads'; readonly delayMs: number; readonly forMs: number }
  | { readonly kind: 'subnetFull'; readonly subnet: number; readonly leaveFree: number; readonly forMs: number }
  | { readonly kind: 'subnetFragmented'; readonly subnet: number; readonly forMs: number }
  | { readonly kind: 'controllerKilled' }
  | { readonly kind: 'controllerTerminated' }
  | { readonly kind: 'leaseStolen' }
  | { readonly kind: 'watchesDropped'; readonly how: 'clean' | 'cut' | 'expired' }
  | { readonly kind: 'historyForgotten' }
  | { readonly kind: 'foreignEdit'; readonly node: number; readonly value: number }
  | { readonly kind: 'timePasses' }

export type StepKind = FleetStep['kind']

/** A step, and how long the world goes on before the next one (ms). */
export type TimedStep = FleetStep & { readonly thenMs: number }

const ORDERS = ['INC', 'ICN', 'NIC', 'NCI', 'CIN', 'CNI', 'IN', 'NI']

/** How often each step is drawn (relative). */
const WEIGHTS: readonly (readonly [kind: StepKind, weight: number])[] = [
  ['podBurst', 22],
  ['podsGone', 14],
  ['nodeJoins', 7],
  ['nodeLeaves', 5],
  ['instanceStops', 2],
  ['throttle', 4],
  ['ec2Fault', 16],
  ['kubernetesFault', 9],
  ['staleReads', 4],
  ['subnetFull', 3],
  ['subnetFragmented', 3],
  ['controllerKilled', 5],
  ['controllerTerminated', 2],
  ['leaseStolen', 1],
  ['watchesDropped', 3],
  ['historyForgotten', 1],
  ['foreignEdit', 4],
  ['timePasses', 5],
]

/** Steps without which a run is calm: only the workload changes. */
export const CALM_KINDS: readonly StepKind[] = [
  'podBurst',
  'podsGone',
  'nodeJoins',
  'nodeLeaves',
  'foreignEdit',
  'timePasses',
]

/**
 * @param kinds which steps may be drawn; all by default
 * @param haste pauses are divided by this; 1 by default
 */
export function randomSteps(
  random: Random,
  count: number,
  { kinds, haste = 1 }: { readonly kinds?: readonly StepKind[] | undefined; readonly haste?: number } = {},
): readonly TimedStep[] {
  const weights = WEIGHTS.filter(([kind]) => kinds === undefined || kinds.includes(kind))
  return Array.from({ length: count }, () => ({
    ...randomStep(random, weights),
    thenMs: Math.round(pause(random) / haste),
  }))
}

/** Mostly seconds, now and then minutes. */
function pause(random: Random): number {
  const chance = random.next()
  if (chance < 0.15) return 0
  if (chance < 0.5) return integer(random, 2_000)
  if (chance < 0.9) return integer(random, 20_000)
  return integer(random, 120_000)
}

function randomStep(random: Random, weights: typeof WEIGHTS): FleetStep {
  const kind = pick(random, weights)
  const node = integer(random, 1000)
  const forMs = 1_000 + integer(random, 60_000)
  switch (kind) {
    case 'podBurst':
      return { kind, node, count: 1 + integer(random, 12) }
    case 'podsGone':
      return { kind, count: 1 + integer(random, 40) }
    case 'nodeJoins':
      return { kind, spec: integer(random, 100) }
    case 'nodeLeaves':
      return { kind, node, order: ORDERS[integer(random, ORDERS.length)]!, gapMs: integer(random, 15_000) }
    case 'instanceStops':
      return { kind, node, forMs: forMs + 30_000 }
    case 'throttle':
      return { kind, size: 1 + integer(random, 5), refillPerSecond: 0.2 + random.next(), forMs }
    case 'ec2Fault':
      return { kind, fault: name(random, EC2_FAULTS), ...strikes(random), forMs, ...(random.next() < 0.3 && { node }) }
    case 'kubernetesFault':
      return {
        kind,
        fault: name(random, KUBERNETES_FAULTS),
        ...strikes(random),
        forMs,
        strikesAgents: random.next() < 0.4,
      }
    case 'staleReads':
      return { kind, delayMs: 200 + integer(random, 8_000), forMs }
    case 'subnetFull':
      return { kind, subnet: integer(random, 10), leaveFree: integer(random, 6), forMs }
    case 'subnetFragmented':
      return { kind, subnet: integer(random, 10), forMs }
    case 'watchesDropped':
      return { kind, how: (['clean', 'cut', 'expired'] as const)[integer(random, 3)]! }
    case 'foreignEdit':
      return { kind, node, value: integer(random, 1_000_000) }
    case 'controllerKilled':
    case 'controllerTerminated':
    case 'leaseStolen':
    case 'historyForgotten':
    case 'timePasses':
      return { kind }
    default:
      return kind satisfies never
  }
}

function strikes(random: Random): { readonly probability: number; readonly count: number } {
  return random.next() < 0.5
    ? { probability: 1, count: 1 + integer(random, 3) }
    : { probability: 0.1 + random.next() * 0.9, count: 1 + integer(random, 40) }
}

function name(random: Random, faults: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(faults)
  return names[integer(random, names.length)]!
}

function pick(random: Random, weights: typeof WEIGHTS): StepKind {
  let left = random.next() * weights.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [kind, weight] of weights) {
    left -= weight
    if (left < 0) return kind
  }
  return 'timePasses'
}

function integer(random: Random, bound: number): number {
  return Math.floor(random.next() * bound)
}
