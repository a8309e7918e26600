import type { Logger } from '../ipam/contracts.ts'
import { fleetReportOf } from './fleet-report.ts'
import type { CallCounts, FleetReport } from './fleet-report.ts'
import type { WorldReport } from './report.ts'
import { SCENARIOS } from './scenarios.ts'
import type { Scenario, ScenarioName } from './scenarios.ts'
import { seedGlobalChance } from './virtual-chance.ts'
import { VirtualFleet } from './virtual-fleet.ts'
import { VirtualTime } from './virtual-time.ts'
import type { WorldPlan } from './world-plan.ts'

/** What the scenario leaves open of a plan. */
export interface VirtualRunOptions {
  readonly nodes: number
  /** As `WorldPlan.instanceType`. */
  readonly instanceType: string
  readonly prefixDelegation: boolean
  readonly scenario: ScenarioName
  readonly seed: number
  readonly log: Logger
  /** Seconds and CPU seconds of the process so far. */
  readonly resources: () => { readonly wallSeconds: number; readonly cpuSeconds: number }
}

export interface VirtualRunResult {
  readonly report: FleetReport
  /** Broken invariants. */
  readonly violations: readonly string[]
  /** Whether every node came to have what it needs, and no pod waits. */
  readonly isSettled: boolean
}

/** How often the world is looked at, before and after every node is served (ms of virtual time). */
const SERVED_LOOK_MS = 1_000
const SETTLED_LOOK_MS = 5_000
/** Real agents report every 15 s. @source cilium pkg/option/config.go, IPAMCiliumNodeUpdateRate */
const AGENT_UPDATE_INTERVAL_MS = 15_000
/** A fleet that has not settled by then, beyond twice its lower bound, does not settle (ms). */
const SETTLE_LIMIT_MS = 1_800_000

/**
 * Plays a scenario from its start to its end in virtual time. Globals are replaced meanwhile: one run at a time in a process.
 *
 * @throws PlanError for an unknown instance type or a fleet that is too large for the network; what a controller that cannot start throws
 */
export async function runVirtually(options: VirtualRunOptions): Promise<VirtualRunResult> {
  const restoreChance = seedGlobalChance(options.seed)
  // Loaded before time stands still, and after chance is seeded: from here on nothing touches a file.
  await import('../../providers/aws/index.ts')
  const time = new VirtualTime()
  try {
    const fleet = new VirtualFleet({ plan: planOf(options), clock: time.clock, log: options.log })
    return await time.run(new Play(options, fleet).play())
  } finally {
    time.uninstall()
    restoreChance()
  }
}

function planOf({ nodes, instanceType, prefixDelegation, scenario, seed }: VirtualRunOptions): WorldPlan {
  const { podsPerNode, podsPerSecondAndNode } = SCENARIOS[scenario].plan
  return {
    cloud: 'aws',
    nodes,
    instanceType,
    prefixDelegation,
    podsPerNode,
    podsPerSecond: nodes * podsPerSecondAndNode,
    agentGeneration: 'pool',
    throttle: 'documented',
    seed,
    agentUpdateIntervalMs: AGENT_UPDATE_INTERVAL_MS,
  }
}

/** One run of one scenario. */
class Play {
  readonly #options: VirtualRunOptions
  readonly #scenario: Scenario
  readonly #fleet: VirtualFleet
  #measuredFromMs = 0
  #callsBefore: CallCounts = {}

  constructor(options: VirtualRunOptions, fleet: VirtualFleet) {
    this.#options = options
    this.#scenario = SCENARIOS[options.scenario]
    this.#fleet = fleet
  }

  async play(): Promise<VirtualRunResult> {
    const fleet = this.#fleet
    const { nodes, scenario, seed, resources } = this.#options
    try {
      await this.#scenario.play({
        fleet,
        nodes,
        settle: () => this.#settle(),
        sleep: (ms) => fleet.clock.sleep(ms, fleet.closing),
        measureFromNow: () => {
          this.#measuredFromMs = fleet.clock.now()
          this.#callsBefore = fleet.simulators.account.attempts()
        },
      })
      const report = await fleet.world.verifiedReport()
      const waits = fleet.world.waits()
      const firstJoinMs = waits.reduce((first, { joinedMs }) => Math.min(first, joinedMs), Number.POSITIVE_INFINITY)
      return {
        report: fleetReportOf(report, {
          cloud: 'aws',
          scenario,
          seed,
          lowerBoundSeconds: this.#scenario.lowerBound(nodes),
          quotas: fleet.simulators.quotas,
          measuredFromMs: Math.max(this.#measuredFromMs, firstJoinMs),
          callsBefore: this.#callsBefore,
          waits,
          ...resources(),
        }),
        violations: report.violations,
        isSettled: isSettled(report),
      }
    } finally {
      await fleet.close()
    }
  }

  /** The cheap question first: a look at everything costs as much as the fleet is large. */
  async #settle(): Promise<void> {
    const { clock, world, closing } = this.#fleet
    const limitMs = clock.now() + 2000 * this.#scenario.lowerBound(this.#options.nodes) + SETTLE_LIMIT_MS
    while (world.waits().some(({ servedMs }) => servedMs === undefined) && clock.now() < limitMs)
      await clock.sleep(SERVED_LOOK_MS, closing)
    while (!isSettled(await world.report()) && clock.now() < limitMs) await clock.sleep(SETTLED_LOOK_MS, closing)
  }
}

function isSettled({ nodes, nodesConverged, podsWaiting }: WorldReport): boolean {
  return nodesConverged === nodes && podsWaiting === 0
}
