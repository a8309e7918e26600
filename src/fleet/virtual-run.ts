import type { Logger } from '../ipam/contracts.ts'
import { CLOUDS } from './clouds.ts'
import { fleetReportOf } from './fleet-report.ts'
import type { CallCounts, FleetReport } from './fleet-report.ts'
import type { WorldReport } from './report.ts'
import type { RunSeries, SeriesSource } from './run-series.ts'
import { joiningNodes, peakPodsPerNode, throttleTableOf } from './scenario.ts'
import type { Scenario } from './scenario.ts'
import { scenarioBound } from './scenario-bound.ts'
import type { ScenarioBound } from './scenario-bound.ts'
import { ScenarioPlayer } from './scenario-play.ts'
import { seedGlobalChance } from './virtual-chance.ts'
import { VirtualFleet } from './virtual-fleet.ts'
import { VirtualTime } from './virtual-time.ts'
import type { CloudName, WorldPlan } from './world-plan.ts'

/** What the scenario leaves open of a plan. */
export interface VirtualRunOptions {
  readonly cloud: CloudName
  readonly nodes: number
  /** As `WorldPlan.instanceType`. */
  readonly instanceType: string
  readonly prefixDelegation: boolean
  readonly scenario: Scenario
  readonly seed: number
  readonly log: Logger
  /** Seconds and CPU seconds of the process so far. */
  readonly resources: () => { readonly wallSeconds: number; readonly cpuSeconds: number }
  /** Takes the course of the run; absent: nobody looks. */
  readonly series?: RunSeries
}

export interface VirtualRunResult {
  readonly report: FleetReport
  /** The best possible course, from when what is measured began. */
  readonly bound: ScenarioBound
  /** When that was, from the start of the run (s). */
  readonly measuredFromSeconds: number
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
  await CLOUDS[options.cloud].loadProvider()
  const time = new VirtualTime()
  try {
    const { log, scenario } = options
    const { flags, latency } = scenario
    const fleet = new VirtualFleet({ plan: planOf(options), clock: time.clock, log, flags, latency })
    return await time.run(new Play(options, fleet).play())
  } finally {
    time.uninstall()
    restoreChance()
  }
}

function planOf(options: VirtualRunOptions): WorldPlan {
  const { cloud, nodes, instanceType, prefixDelegation, scenario, seed } = options
  const { podsPerNode, agentGeneration, nodeIPAM, throttle } = scenario
  return {
    cloud,
    nodes: Math.max(nodes, joiningNodes(scenario, nodes)),
    instanceType,
    prefixDelegation,
    podsPerNode,
    podsPerSecond: 0,
    agentGeneration,
    throttle: throttleTableOf(throttle, CLOUDS[cloud].documentedThrottle) ?? 'none',
    seed,
    nodeIPAM,
    peakPodsPerNode: peakPodsPerNode(scenario),
    agentUpdateIntervalMs: AGENT_UPDATE_INTERVAL_MS,
  }
}

/** One run of one scenario. */
class Play {
  readonly #options: VirtualRunOptions
  readonly #bound: ScenarioBound
  readonly #fleet: VirtualFleet
  #measuredFromMs = 0
  #callsBefore: CallCounts = {}

  constructor(options: VirtualRunOptions, fleet: VirtualFleet) {
    this.#options = options
    this.#bound = scenarioBound(options.scenario, options.nodes, CLOUDS[options.cloud])
    this.#fleet = fleet
  }

  async play(): Promise<VirtualRunResult> {
    const fleet = this.#fleet
    const { cloud, nodes, scenario, seed, resources } = this.#options
    const startMs = fleet.clock.now()
    try {
      void this.#follow(startMs)
      await new ScenarioPlayer(scenario, {
        fleet,
        nodes,
        documentedThrottle: CLOUDS[cloud].documentedThrottle,
        settle: () => this.#settle(),
        measureFromNow: () => {
          this.#measuredFromMs = fleet.clock.now()
          this.#callsBefore = fleet.simulators.cloud.account.attempts()
        },
      }).play()
      await this.#options.series?.look(this.#source, fleet.clock.now() - startMs, fleet.closing)
      const report = await fleet.world.verifiedReport()
      const waits = fleet.world.waits()
      const firstJoinMs = waits.reduce((first, { joinedMs }) => Math.min(first, joinedMs), Number.POSITIVE_INFINITY)
      const measuredFromMs = Math.max(this.#measuredFromMs, firstJoinMs)
      return {
        report: fleetReportOf(report, {
          cloud,
          isMutating: (action) => CLOUDS[cloud].isMutating(action),
          scenario: scenario.name,
          seed,
          lowerBoundSeconds: this.#bound.seconds,
          quotas: fleet.simulators.cloud.quotas,
          measuredFromMs,
          callsBefore: this.#callsBefore,
          waits,
          ...resources(),
        }),
        bound: this.#bound,
        measuredFromSeconds: (measuredFromMs - startMs) / 1000,
        violations: report.violations,
        isSettled: isSettled(report),
      }
    } finally {
      await fleet.close()
    }
  }

  get #source(): SeriesSource {
    const { world, simulators } = this.#fleet
    return { world, cloud: simulators.cloud }
  }

  /** Until the fleet ends. Looking changes nothing. */
  async #follow(startMs: number): Promise<void> {
    const { series } = this.#options
    const { clock, closing } = this.#fleet
    if (series === undefined) return
    while (!closing.aborted) {
      try {
        await series.look(this.#source, clock.now() - startMs, closing)
        await clock.sleep(series.intervalMs, closing)
      } catch (error) {
        if (!closing.aborted) throw error
      }
    }
  }

  /** The cheap question first: a look at everything costs as much as the fleet is large. */
  async #settle(): Promise<void> {
    const { clock, world, closing } = this.#fleet
    const { seconds } = this.#bound
    const limitMs = clock.now() + (Number.isFinite(seconds) ? 2000 * seconds : 0) + SETTLE_LIMIT_MS
    while (world.waits().some(({ servedMs }) => servedMs === undefined) && clock.now() < limitMs)
      await clock.sleep(SERVED_LOOK_MS, closing)
    while (!isSettled(await world.report()) && clock.now() < limitMs) await clock.sleep(SETTLED_LOOK_MS, closing)
  }
}

function isSettled({ nodes, nodesConverged, podsWaiting }: WorldReport): boolean {
  return nodesConverged === nodes && podsWaiting === 0
}
