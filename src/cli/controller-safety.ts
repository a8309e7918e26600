import { AuditLog } from '../audit/audit-log.ts'
import type { AuditEntry } from '../audit/audit-log.ts'
import { DestructionControl } from '../audit/destruction-control.ts'
import type { Config } from '../config/config.ts'
import { publicConfig } from '../config/public-config.ts'
import { reloadableOf, withReloadable } from '../config/reload.ts'
import type { ReloadableConfig } from '../config/reload.ts'
import type { NodeManager } from '../controller/node-manager.ts'
import type { Logger } from '../ipam/contracts.ts'
import type { DestructionGuard } from '../ipam/destruction.ts'
import type { Clock } from '../runtime/clock.ts'
import type { ControllerMetrics } from '../telemetry/controller-metrics.ts'
import type { Route, RouteAnswer } from '../telemetry/server.ts'
import { DryRun } from './dry-run.ts'
import type { DryRunReport } from './dry-run.ts'

export interface SafetyOptions {
  readonly config: Config
  /** Of this process, for the audit log. */
  readonly identity: string
  /** Takes one entry of the audit log, for good; absent: the log. */
  readonly writeAudit?: (entry: AuditEntry) => void
  readonly metrics: ControllerMetrics
  readonly clock: Clock
  readonly log: Logger
}

/** What holds a controller's hand: the audit log, the pause, the dry run, and the options that may change while it runs. */
export class Safety {
  /** Of every call that gives something back; undefined in a dry run, which makes none. */
  readonly guard: DestructionGuard | undefined
  readonly dryRun: DryRun | undefined
  readonly #options: SafetyOptions
  readonly #control: DestructionControl
  #manager: NodeManager | undefined
  #current: ReloadableConfig

  constructor(options: SafetyOptions) {
    const { config, identity, metrics, clock, log } = options
    const { writeAudit = (audit) => log.info({ audit }, 'Destructive call') } = options
    this.#options = options
    this.#current = reloadableOf(config)
    const onLost = (error: unknown): void => log.error({ error }, 'The answer of a destructive call is not on record')
    this.#control = new DestructionControl({
      audit: new AuditLog({ identity, clock, write: writeAudit, onLost }),
      clock,
      onCall: (outcome, action) => metrics.incDestructiveCall(outcome, action),
    })
    this.guard = config.dryRun ? undefined : this.#control
    this.dryRun = config.dryRun ? new DryRun(clock) : undefined
    this.#setPaused(config.pauseDestructive)
  }

  /** A term begins: this is the fleet that a pause concerns. */
  watch(manager: NodeManager): void {
    this.#manager = manager
    this.#control.watchNodes((subject) => manager.isPaused(subject))
    manager.setPaused(this.#control.isFleetPaused)
  }

  /** @param setBudgetTable throws ConfigError for a table that cannot be used: nothing of the change is in effect then */
  reconfigure(
    config: ReloadableConfig,
    setBudgetTable: ((table: ReloadableConfig['budgetTable']) => void) | undefined,
  ): void {
    const isSameTable = JSON.stringify(config.budgetTable) === JSON.stringify(this.#current.budgetTable)
    if (!isSameTable) setBudgetTable?.(config.budgetTable)
    this.#current = config
    if (config.pauseDestructive !== this.#control.isFleetPaused) this.#setPaused(config.pauseDestructive)
  }

  report(): DryRunReport | undefined {
    const manager = this.#manager
    const nodes = manager
      ?.getNames()
      .map((name) => [manager.get(name)?.instanceID().toLowerCase() ?? '', name] as const)
    const names = new Map(nodes)
    return this.dryRun?.report((instanceID) => names.get(instanceID.toLowerCase()) ?? '')
  }

  routes(): readonly Route[] {
    const { config } = this.#options
    return [
      {
        path: '/v1/config',
        help: 'the options in effect, without secrets',
        answer: () => json(publicConfig(withReloadable(config, this.#current))),
      },
      {
        path: '/v1/dry-run',
        help: 'what a controller with --dry-run would have done',
        answer: () => {
          const report = this.report()
          return report === undefined ? json({ error: 'this controller runs without --dry-run' }, 404) : json(report)
        },
      },
    ]
  }

  #setPaused(isPaused: boolean): void {
    const { metrics, log } = this.#options
    const isNews = isPaused !== this.#control.isFleetPaused
    this.#control.setFleetPaused(isPaused)
    this.#manager?.setPaused(isPaused)
    metrics.setDestructivePaused(isPaused)
    const option = '--pause-destructive'
    if (isNews && isPaused) log.warn({ option }, 'Nothing is released, detached or deleted from now on')
    else if (isNews) log.info({ option }, 'Releasing and deleting go on')
  }
}

function json(value: object, status = 200): RouteAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value, undefined, 2)}\n` }
}
