import type { FaultRule, FaultScript } from '../../simulators/kit/faults.ts'
import { parseFaults } from '../../simulators/kit/faults.ts'

type Rule = Readonly<Record<string, unknown>>

const MUTATIONS = [
  'AssignPrivateIpAddresses',
  'UnassignPrivateIpAddresses',
  'CreateNetworkInterface',
  'AttachNetworkInterface',
  'DeleteNetworkInterface',
  'ModifyNetworkInterfaceAttribute',
] as const

const INTERNAL = { kind: 'error', code: 'InternalError', status: 500, message: 'An internal error has occurred' }
const NOT_RUNNING = {
  kind: 'error',
  code: 'IncorrectState',
  status: 400,
  message: "Instance 'i-0' is not 'running' or 'stopped'.",
}

/** What may go wrong between the controller and EC2, by name. */
export const EC2_FAULTS: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    MUTATIONS.flatMap((action) => [
      [`${action} lost`, { action, where: 'after-effect', kind: 'drop' }],
      [`${action} lost with 500`, { action, where: 'after-effect', ...INTERNAL }],
      [`${action} refused`, { action, ...INTERNAL }],
    ]),
  ),
  'answers cut': { action: '*', kind: 'cut' },
  'answers truncated': { action: '*', kind: 'truncate' },
  'no connection': { action: '*', kind: 'drop' },
  'service unavailable': { action: '*', kind: 'error', code: 'ServiceUnavailable', status: 503, message: 'down' },
  'listings fail': { action: 'Describe*', ...INTERNAL },
  'wrongly not running': { action: 'AttachNetworkInterface', ...NOT_RUNNING },
  'wrongly full': {
    action: 'AssignPrivateIpAddresses',
    kind: 'error',
    code: 'PrivateIpAddressLimitExceeded',
    status: 400,
    message: 'Number of private addresses will exceed limit.',
  },
  'permission missing': {
    action: '*NetworkInterface*',
    kind: 'error',
    code: 'UnauthorizedOperation',
    status: 403,
    message: 'You are not authorized to perform this operation.',
  },
  'rate refused': {
    action: '*',
    kind: 'error',
    code: 'RequestLimitExceeded',
    status: 503,
    message: 'Request limit exceeded.',
  },
  'slow calls': { action: '*', kind: 'latency', latencyMs: 7_000 },
  'old answers': { action: 'Describe*', kind: 'latency', where: 'after-effect', latencyMs: 9_000 },
  // The call is carried out, and its answer comes when nobody waits for it any more.
  'calls without end': { action: '*', kind: 'latency', where: 'after-effect', latencyMs: 75_000 },
}

/** User agents of the two sides; the observer of the tests is neither, and no fault strikes it. */
export const CONTROLLER_AGENT = 'berth-controller'
export const CLUSTER_AGENT = 'cluster'

/** What may go wrong between the API server and its clients, by name. */
export const KUBERNETES_FAULTS: Readonly<Record<string, Rule>> = {
  conflicts: { action: 'patch ciliumnodes*', kind: 'error', code: 'Conflict', status: 409, message: 'changed' },
  'writes lost': { action: 'patch *', where: 'after-effect', kind: 'drop' },
  'writes lost with 500': {
    action: 'patch *',
    where: 'after-effect',
    kind: 'error',
    code: 'InternalError',
    status: 500,
    message: 'etcd: request timed out',
  },
  'server errors': { action: '*', kind: 'error', code: 'InternalError', status: 500, message: 'etcd is down' },
  overload: { action: '*', kind: 'error', code: 'TooManyRequests', status: 429, message: 'too many requests' },
  unreachable: { action: '*', kind: 'drop' },
  'lists expire': { action: 'list *', kind: 'error', code: 'Expired', status: 410, message: 'too old' },
  'watches expire': { action: 'watch *', kind: 'error', code: 'Expired', status: 410, message: 'too old' },
  'answers cut': { action: '*', kind: 'cut' },
  'answers truncated': { action: '*', kind: 'truncate' },
  'slow server': { action: '*', kind: 'latency', latencyMs: 4_000 },
  'slow writes': { action: 'patch ciliumnodes*', where: 'after-effect', kind: 'latency', latencyMs: 12_000 },
}

/** Faults in force in one simulator: several at a time, each for a while. */
export class FaultBoard {
  readonly #script: FaultScript
  readonly #usual: readonly FaultRule[]
  #active: { readonly rule: FaultRule; readonly untilMs: number }[] = []

  /** @param usual always in force: the latency of a sound world */
  constructor(script: FaultScript, usual: readonly Rule[] = []) {
    this.#script = script
    this.#usual = parseFaults({ rules: usual })
    this.#put()
  }

  add(rule: Rule, limits: { readonly probability?: number; readonly count?: number }, untilMs: number): void {
    for (const parsed of parseFaults({ rules: [{ ...rule, ...limits }] })) this.#active.push({ rule: parsed, untilMs })
    this.#put()
  }

  expire(nowMs: number): void {
    if (!this.#active.some(({ untilMs }) => untilMs <= nowMs)) return
    this.#active = this.#active.filter(({ untilMs }) => untilMs > nowMs)
    this.#put()
  }

  clear(): void {
    this.#active = []
    this.#put()
  }

  /** Strikes that are left of a rule survive the change. */
  #put(): void {
    const status = this.#script.status()
    this.#active = this.#active.map((active) => {
      const before = status.find((one) => one.action === active.rule.action && one.effect === active.rule.effect)
      return before === undefined
        ? active
        : { ...active, rule: { ...active.rule, count: active.rule.count - before.strikes } }
    })
    this.#active = this.#active.filter(({ rule }) => rule.count > 0)
    this.#script.set([...this.#usual, ...this.#active.map(({ rule }) => rule)])
  }
}
