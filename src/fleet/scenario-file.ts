import { parseFaults } from '../../simulators/kit/faults.ts'
import { InputError, InputReader } from '../../simulators/kit/input.ts'
import { parseThrottle } from '../../simulators/kit/rate-limit.ts'
import { nearestName } from '../config/nearest-name.ts'
import { NODE_IPAM_KEYS } from './scenario.ts'
import type { NodeAmount, NodeIPAM, Scenario, ScenarioEvent, ScenarioStep, ScenarioThrottle } from './scenario.ts'
import { AGENT_GENERATIONS } from './world-plan.ts'

const FILE_KEYS = [
  '$schema',
  'help',
  'nodes',
  'instanceType',
  'prefixDelegation',
  'podsPerNode',
  'agentGeneration',
  'nodeIPAM',
  'throttle',
  'latency',
  'flags',
  'steps',
]

/** Guards against slips of the pen (counts). */
const MAX_NODES = 200_000
const MAX_PODS = 1_000
const MAX_PER_SECOND = 10_000
const MAX_STEPS = 1_000
const MAX_SCALE = 1_000

/** What a node runs from the start, as every node runs some: network, proxy, logs, metrics, storage (count of pods). */
const SYSTEM_PODS = 5

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

type StepKind = ScenarioEvent['kind']

/** Reads what stands after the name of a step. @returns undefined when nothing of it can be used; the fault is told */
type StepReader = (value: unknown, place: string, reader: ScenarioReader) => ScenarioEvent | undefined

/**
 * A scenario file, read from YAML or JSON (docs/scenarios.md; `simulators/kit/schemas/scenario.schema.json`).
 *
 * @param name how it is called in reports
 * @throws InputError listing every fault of the file with its place
 */
export function parseScenario(value: unknown, name: string): Scenario {
  const reader = new ScenarioReader('scenario')
  const file = reader.object(value, 'file', FILE_KEYS)
  const optional = <T>(key: string, read: (value: unknown, place: string) => T): T | undefined =>
    file[key] === undefined ? undefined : read(file[key], key)
  const scenario: Scenario = {
    name,
    help: optional('help', (one, at) => reader.string(one, at)) ?? '',
    nodes: optional('nodes', (one, at) => reader.integer(one, at, { min: 1, max: MAX_NODES })),
    instanceType: optional('instanceType', (one, at) => reader.string(one, at)),
    prefixDelegation: optional('prefixDelegation', (one, at) => reader.boolean(one, at)),
    podsPerNode:
      optional('podsPerNode', (one, at) => reader.integer(one, at, { min: 0, max: MAX_PODS })) ?? SYSTEM_PODS,
    agentGeneration: optional('agentGeneration', (one, at) => reader.oneOf(one, at, AGENT_GENERATIONS)) ?? 'pool',
    nodeIPAM: optional('nodeIPAM', (one, at) => reader.nodeIPAM(one, at)) ?? [{}],
    throttle: optional('throttle', (one, at) => reader.throttle(one, at)) ?? 'documented',
    latency: optional('latency', (one, at) => reader.latency(one, at)) ?? 'usual',
    flags: optional('flags', (one, at) => reader.flags(one, at)) ?? [],
    steps: reader.array(file['steps'], 'steps').flatMap((one, index) => reader.step(one, `steps[${index}]`) ?? []),
  }
  reader.checkOrder(scenario.steps)
  reader.finish()
  return scenario
}

class ScenarioReader extends InputReader {
  step(value: unknown, place: string): ScenarioStep | undefined {
    // A step that needs no more than its name is written as that.
    const fields: Readonly<Record<string, unknown>> =
      typeof value === 'string' ? { [value]: {} } : this.#stepFields(value, place)
    const [kind, ...others] = Object.keys(fields).filter((key) => key !== 'at')
    if (kind === undefined || others.length > 0) {
      if (typeof value === 'object' && value !== null)
        this.fault(place, `must name one step, not ${kind === undefined ? 'none' : [kind, ...others].join(' and ')}`)
      return undefined
    }
    const read = Object.hasOwn(STEPS, kind) ? STEPS[kind as StepKind] : undefined
    if (read === undefined) {
      const near = nearestName(kind, STEP_KINDS)
      this.fault(
        `${place}.${kind}`,
        `is no step; ${near === undefined ? `steps are ${STEP_KINDS.join(', ')}` : `did you mean ${near}?`}`,
      )
      return undefined
    }
    const event = read(fields[kind], `${place}.${kind}`, this)
    if (event === undefined || fields['at'] === undefined) return event
    return { ...event, atMs: this.duration(fields['at'], `${place}.at`) }
  }

  /** Whatever the names of its keys are: an unknown step is told as such. */
  #stepFields(value: unknown, place: string): Readonly<Record<string, unknown>> {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return this.object(value, place, isObject ? Object.keys(value) : [])
  }

  /** `90s`, `1.5h`; a number counts seconds. @returns milliseconds */
  duration(value: unknown, place: string): number {
    const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value) : null
    if (match !== null) return Number(match[1]) * (UNITS_MS[match[2] ?? ''] ?? 0)
    if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value * 1000
    this.fault(place, `must be a duration such as 90s, 5m or 1h, or seconds, not ${JSON.stringify(value)}`)
    return 0
  }

  optionalDuration(value: unknown, place: string): number | undefined {
    return value === undefined ? undefined : this.duration(value, place)
  }

  perSecond(value: unknown, place: string): number | undefined {
    return value === undefined ? undefined : this.positive(value, place, MAX_PER_SECOND)
  }

  positive(value: unknown, place: string, max: number): number {
    const number = this.number(value, place, { min: 0, max })
    if (number === 0) this.fault(place, 'must be above 0')
    return number
  }

  /** `all`, a count, or a share as `30%`; absent: all. */
  amount(value: unknown, place: string): NodeAmount {
    if (value === undefined || value === 'all') return { share: 1 }
    const percent = typeof value === 'string' ? /^(\d+(?:\.\d+)?)%$/.exec(value)?.[1] : undefined
    if (percent !== undefined && Number(percent) > 0 && Number(percent) <= 100) return { share: Number(percent) / 100 }
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_NODES)
      return { count: value }
    this.fault(
      place,
      `must be all, a count of nodes from 1 to ${MAX_NODES}, or a share such as 30%, not ${JSON.stringify(value)}`,
    )
    return { share: 1 }
  }

  nodeIPAM(value: unknown, place: string): readonly NodeIPAM[] {
    const list = Array.isArray(value) ? value : [value]
    if (list.length === 0) this.fault(place, 'must not be empty')
    return list.map((one: unknown, index) => {
      const at = Array.isArray(value) ? `${place}[${index}]` : place
      const fields = this.object(one, at, NODE_IPAM_KEYS)
      return Object.fromEntries(
        Object.entries(fields).map(([key, count]) => [
          key,
          this.integer(count, `${at}.${key}`, { min: 0, max: 10_000 }),
        ]),
      )
    })
  }

  throttle(value: unknown, place: string): ScenarioThrottle {
    if (value === 'documented' || value === 'none') return value
    if (typeof value === 'object' && value !== null && ('neighbourShare' in value || 'scale' in value)) {
      const { neighbourShare = 0, scale = 1 } = this.object(value, place, ['neighbourShare', 'scale'])
      return {
        neighbourShare: this.number(neighbourShare, `${place}.neighbourShare`, { min: 0, max: 1 }),
        scale: this.positive(scale, `${place}.scale`, MAX_SCALE),
      }
    }
    return this.#nested(place, () => parseThrottle(value)) ?? 'documented'
  }

  latency(value: unknown, place: string): string {
    const text = String(value)
    const [min, max = Number.POSITIVE_INFINITY] = text.split('-').map(Number)
    if (/^(usual|none|\d{1,7}(-\d{1,7})?)$/.test(text) && !(Number(min) > max)) return text
    this.fault(place, `must be usual, none, milliseconds or a range such as 80-300, not ${JSON.stringify(value)}`)
    return 'usual'
  }

  rules(value: unknown, place: string): ReturnType<typeof parseFaults> {
    return this.#nested(place, () => parseFaults({ rules: value })) ?? []
  }

  flags(value: unknown, place: string): readonly string[] {
    return this.array(value, place).map((one, index) => {
      const flag = this.string(one, `${place}[${index}]`)
      if (!flag.startsWith('--') || !flag.includes('='))
        this.fault(`${place}[${index}]`, `must be a flag of berth controller with its value, --name=value, not ${flag}`)
      return flag
    })
  }

  /** What each step for itself cannot show. */
  checkOrder(steps: readonly ScenarioStep[]): void {
    if (steps.length > MAX_STEPS) this.fault('steps', `must be at most ${MAX_STEPS}, not ${steps.length}`)
    if (!steps.some(({ kind }) => kind === 'startController')) this.fault('steps', 'must have a startController')
    if (!steps.some(({ kind }) => kind === 'join')) this.fault('steps', 'must have a join')
    let runs = false
    for (const [index, { kind }] of steps.entries()) {
      if (kind !== 'startController' && kind !== 'stopController') continue
      if (runs === (kind === 'startController'))
        this.fault(`steps[${index}].${kind}`, runs ? 'finds a controller that runs' : 'finds no controller that runs')
      runs = kind === 'startController'
    }
  }

  /** What another reader throws becomes faults of this file. */
  #nested<T>(place: string, read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof InputError)) throw error
      for (const fault of error.faults) this.fault(place, fault)
      return undefined
    }
  }
}

const STEPS: { readonly [K in StepKind]: StepReader } = {
  startController: bare('startController'),
  stopController: bare('stopController'),
  settle: bare('settle'),
  measure: bare('measure'),
  wait: (value, place, reader) => ({ kind: 'wait', forMs: reader.duration(value, place) }),
  join: (value, place, reader) => {
    const { nodes, perSecond } = fieldsOf(value, place, reader, ['nodes', 'perSecond'], 'nodes')
    return {
      kind: 'join',
      nodes: reader.amount(nodes, `${place}.nodes`),
      perSecond: reader.perSecond(perSecond, `${place}.perSecond`),
    }
  },
  drain: (value, place, reader) => {
    const { nodes, perSecond } = fieldsOf(value, place, reader, ['nodes', 'perSecond'], 'nodes')
    return {
      kind: 'drain',
      nodes: reader.amount(nodes, `${place}.nodes`),
      perSecond: reader.perSecond(perSecond, `${place}.perSecond`),
    }
  },
  replace: (value, place, reader) => {
    const { nodes, perSecond } = fieldsOf(value, place, reader, ['nodes', 'perSecond'])
    return {
      kind: 'replace',
      nodes: reader.amount(nodes, `${place}.nodes`),
      perSecond: reader.positive(perSecond, `${place}.perSecond`, MAX_PER_SECOND),
    }
  },
  startPods: (value, place, reader) => {
    const { podsPerNode, nodes } = fieldsOf(value, place, reader, ['podsPerNode', 'nodes'], 'podsPerNode')
    return {
      kind: 'startPods',
      podsPerNode: reader.integer(podsPerNode, `${place}.podsPerNode`, { min: 1, max: MAX_PODS }),
      nodes: reader.amount(nodes, `${place}.nodes`),
    }
  },
  stopPods: (value, place, reader) => {
    const { share } = fieldsOf(value, place, reader, ['share'], 'share')
    return { kind: 'stopPods', share: reader.number(share, `${place}.share`, { min: 0, max: 1 }) }
  },
  churn: (value, place, reader) => {
    const fields = fieldsOf(value, place, reader, ['podsPerSecondAndNode', 'for'])
    return {
      kind: 'churn',
      podsPerSecondAndNode: reader.positive(
        fields['podsPerSecondAndNode'],
        `${place}.podsPerSecondAndNode`,
        MAX_PER_SECOND,
      ),
      forMs: reader.duration(fields['for'], `${place}.for`),
    }
  },
  fillSubnets: (value, place, reader) => {
    const fields = fieldsOf(value, place, reader, ['leaveFree', 'for'])
    return {
      kind: 'fillSubnets',
      leaveFree: reader.integer(fields['leaveFree'] ?? 0, `${place}.leaveFree`, { min: 0, max: 65_536 }),
      forMs: reader.duration(fields['for'], `${place}.for`),
    }
  },
  throttle: (value, place, reader) => {
    const isFields = typeof value === 'object' && value !== null
    const { for: until, ...table } = isFields ? (value as Readonly<Record<string, unknown>>) : {}
    return {
      kind: 'throttle',
      throttle: reader.throttle(isFields ? table : value, place),
      forMs: reader.optionalDuration(until, `${place}.for`),
    }
  },
  fault: (value, place, reader) => {
    const fields = fieldsOf(value, place, reader, ['target', 'rules', 'for'])
    return {
      kind: 'fault',
      target: reader.oneOf(fields['target'] ?? 'cloud', `${place}.target`, ['cloud', 'kubernetes'] as const) ?? 'cloud',
      rules: reader.rules(fields['rules'], `${place}.rules`),
      forMs: reader.optionalDuration(fields['for'], `${place}.for`),
    }
  },
}

const STEP_KINDS = Object.keys(STEPS) as readonly StepKind[]

function bare(kind: 'startController' | 'stopController' | 'settle' | 'measure'): StepReader {
  return (value, place, reader) => {
    reader.object(value ?? {}, place, [])
    return { kind }
  }
}

/** The fields of a step. @param only the one that may stand for all: `join: 50` is `join: {nodes: 50}` */
function fieldsOf(
  value: unknown,
  place: string,
  reader: InputReader,
  keys: readonly string[],
  only?: string,
): Readonly<Record<string, unknown>> {
  const isShort = only !== undefined && (typeof value === 'string' || typeof value === 'number')
  return isShort ? { [only]: value } : reader.object(value ?? {}, place, keys)
}
