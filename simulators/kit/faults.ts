import { globMatcher } from './glob.ts'
import { InputReader } from './input.ts'
import type { Random } from './random.ts'

/**
 * What a rule does to a call:
 * - `error`: answers with this code, HTTP status and message (the simulator puts them into its own error form);
 * - `latency`: waits `latencyMs` more;
 * - `drop`: cuts the connection without an answer;
 * - `truncate`: answers the first half of the body as if it were whole (it does not parse);
 * - `cut`: sends half of the body and cuts the connection.
 */
export type FaultEffect =
  | { readonly kind: 'error'; readonly code: string; readonly status: number; readonly message: string }
  | { readonly kind: 'latency'; readonly latencyMs: number }
  | { readonly kind: 'drop' }
  | { readonly kind: 'truncate' }
  | { readonly kind: 'cut' }

/** One rule of a fault file. Counts are of calls that the rule matches, from 1; chance is drawn for each of them. */
export interface FaultRule {
  /** Which calls: the action's name, `*` and `?` allowed (`Assign*`; of the Kubernetes simulator `patch ciliumnodes/status`). */
  readonly action: string
  /** Only calls whose attributes match, by name; wildcards allowed (`{"InstanceId": "i-0a*"}`). */
  readonly match?: Readonly<Record<string, string>>
  /** `before-effect`: nothing is changed. `after-effect`: the change is made and its answer is lost or spoilt. */
  readonly where: 'before-effect' | 'after-effect'
  readonly effect: FaultEffect
  /** Share of matching calls hit, in [0, 1]; 1 by default. */
  readonly probability: number
  /** How often the rule strikes at most; unlimited by default. */
  readonly count: number
  /** First and last matching call that may be hit, both inclusive; by default 1 and unlimited. */
  readonly fromCall: number
  readonly untilCall: number
}

/** What a script does to one call: the latencies of all rules that struck, summed, and the first other effect of each place. */
export interface FaultDecision {
  /** To wait before the effect, in milliseconds. */
  readonly latencyMs: number
  /** To wait between the effect and its answer, so that the answer is old when it arrives. */
  readonly answerLatencyMs: number
  readonly before: Exclude<FaultEffect, { kind: 'latency' }> | undefined
  readonly after: Exclude<FaultEffect, { kind: 'latency' }> | undefined
}

/** A call as the script sees it. */
export interface FaultSubject {
  readonly action: string
  /** Values by attribute name: request parameters, names of resources. */
  attribute(name: string): string | undefined
}

const NO_FAULT: FaultDecision = { latencyMs: 0, answerLatencyMs: 0, before: undefined, after: undefined }

interface ArmedRule {
  readonly rule: FaultRule
  readonly matchesAction: (action: string) => boolean
  readonly attributes: readonly (readonly [name: string, matches: (value: string) => boolean])[]
  calls: number
  strikes: number
}

/** The script of faults of one simulator: rules in order, with their counters. */
export class FaultScript {
  readonly #random: Random
  #armed: ArmedRule[] = []

  constructor(random: Random, rules: readonly FaultRule[] = []) {
    this.#random = random
    this.set(rules)
  }

  /** Replaces all rules; counters start at zero. */
  set(rules: readonly FaultRule[]): void {
    this.#armed = rules.map((rule) => ({
      rule,
      matchesAction: globMatcher(rule.action),
      attributes: Object.entries(rule.match ?? {}).map(([name, pattern]) => [name, globMatcher(pattern)]),
      calls: 0,
      strikes: 0,
    }))
  }

  clear(): void {
    this.#armed = []
  }

  /** The rules with how many calls each has matched and hit so far. */
  status(): readonly (FaultRule & { readonly calls: number; readonly strikes: number })[] {
    return this.#armed.map(({ rule, calls, strikes }) => ({ ...rule, calls, strikes }))
  }

  /** To be called once for every call of a client. */
  decide(subject: FaultSubject): FaultDecision {
    if (this.#armed.length === 0) return NO_FAULT
    let latencyMs = 0
    let answerLatencyMs = 0
    let before: FaultDecision['before']
    let after: FaultDecision['after']
    for (const armed of this.#armed) {
      const { effect, where } = armed.rule
      if (!this.#strikes(armed, subject)) continue
      if (effect.kind === 'latency' && where === 'before-effect') latencyMs += effect.latencyMs
      else if (effect.kind === 'latency') answerLatencyMs += effect.latencyMs
      else if (where === 'before-effect') before ??= effect
      else after ??= effect
    }
    return { latencyMs, answerLatencyMs, before, after }
  }

  #strikes(armed: ArmedRule, subject: FaultSubject): boolean {
    const { rule } = armed
    if (!armed.matchesAction(subject.action)) return false
    for (const [name, matches] of armed.attributes) {
      const value = subject.attribute(name)
      if (value === undefined || !matches(value)) return false
    }
    armed.calls++
    if (armed.calls < rule.fromCall || armed.calls > rule.untilCall || armed.strikes >= rule.count) return false
    if (rule.probability < 1 && this.#random.next() >= rule.probability) return false
    armed.strikes++
    return true
  }
}

const RULE_KEYS = [
  'action',
  'match',
  'where',
  'kind',
  'code',
  'status',
  'message',
  'latencyMs',
  'probability',
  'count',
  'fromCall',
  'untilCall',
]
const KINDS = ['error', 'latency', 'drop', 'truncate', 'cut'] as const

/**
 * Reads a fault file: `{"rules": [{"action": "Assign*", "kind": "error", "code": "InternalError", "status": 500, …}]}`.
 * `counters`, which the control door adds when asked, is ignored. `where` is `before-effect` unless told otherwise (`truncate` and `cut` need an answer, so theirs is `after-effect`).
 *
 * @throws InputError listing every fault of the file
 */
export function parseFaults(value: unknown): readonly FaultRule[] {
  const reader = new InputReader('faults')
  const file = reader.object(value, 'file', ['rules', 'counters', '$schema'])
  const rules = reader.array(file['rules'], 'rules').map((one, index) => parseRule(reader, one, `rules[${index}]`))
  reader.finish()
  return rules
}

function parseRule(reader: InputReader, value: unknown, place: string): FaultRule {
  const rule = reader.object(value, place, RULE_KEYS)
  const effect = parseEffect(reader, rule, place)
  const needsAnswer = effect.kind === 'truncate' || effect.kind === 'cut'
  const where =
    rule['where'] === undefined
      ? needsAnswer
        ? 'after-effect'
        : 'before-effect'
      : reader.oneOf(rule['where'], `${place}.where`, ['before-effect', 'after-effect'] as const)
  if (needsAnswer && where === 'before-effect') {
    reader.fault(
      `${place}.where`,
      `must be after-effect for ${effect.kind}: without an effect there is no answer to spoil`,
    )
  }
  const optional = <T>(key: string, read: (value: unknown, place: string) => T, otherwise: T): T =>
    rule[key] === undefined ? otherwise : read(rule[key], `${place}.${key}`)
  return {
    action: reader.string(rule['action'], `${place}.action`),
    ...(rule['match'] === undefined ? {} : { match: reader.texts(rule['match'], `${place}.match`) }),
    where: where ?? 'before-effect',
    effect,
    probability: optional('probability', (one, at) => reader.number(one, at, { min: 0, max: 1 }), 1),
    count: optional('count', (one, at) => reader.integer(one, at, { min: 1 }), Infinity),
    fromCall: optional('fromCall', (one, at) => reader.integer(one, at, { min: 1 }), 1),
    untilCall: optional('untilCall', (one, at) => reader.integer(one, at, { min: 1 }), Infinity),
  }
}

function parseEffect(reader: InputReader, rule: Readonly<Record<string, unknown>>, place: string): FaultEffect {
  const kind = reader.oneOf(rule['kind'], `${place}.kind`, KINDS)
  if (kind === 'error') {
    return {
      kind,
      code: reader.string(rule['code'], `${place}.code`),
      status: reader.integer(rule['status'], `${place}.status`, { min: 400, max: 599 }),
      message: rule['message'] === undefined ? 'Injected fault.' : reader.string(rule['message'], `${place}.message`),
    }
  }
  if (kind === 'latency') {
    return { kind, latencyMs: reader.number(rule['latencyMs'], `${place}.latencyMs`, { min: 0 }) }
  }
  return { kind: kind ?? 'drop' } // an unknown kind is already a fault of the file
}

/** The rules in the form of the file, so that what is read can be put back. */
export function formatFaults(rules: readonly FaultRule[]): { readonly rules: readonly Record<string, unknown>[] } {
  return {
    rules: rules.map(({ action, match, where, effect, probability, count, fromCall, untilCall }) => ({
      action,
      ...(match === undefined ? {} : { match }),
      where,
      ...effect,
      probability,
      ...(count === Infinity ? {} : { count }),
      fromCall,
      ...(untilCall === Infinity ? {} : { untilCall }),
    })),
  }
}
