import { DOCUMENTED_THROTTLE } from '../../simulators/aws/index.ts'
import { FIRST_ADDRESS_PATHS, lowerBoundSeconds, slowed } from './bounds.ts'
import type { BucketRate } from './bounds.ts'
import type { VirtualFleet } from './virtual-fleet.ts'

/** What a scenario adds to the plan of a world. */
interface ScenarioPlan {
  /** Pods that each node starts with (count). */
  readonly podsPerNode: number
  /** Pods that come, and as many that go, in a second, for each node (count). */
  readonly podsPerSecondAndNode: number
}

/** A course of events, and the least time in which its nodes can be served. */
export interface Scenario {
  readonly help: string
  readonly plan: ScenarioPlan
  /** Seconds to the last first address. @param nodes (count) */
  lowerBound(nodes: number): number
  /** Plays it; time passes meanwhile. @param nodes of the plan (count) */
  play(run: ScenarioRun): Promise<void>
}

export interface ScenarioRun {
  readonly fleet: VirtualFleet
  /** Nodes of the plan (count). */
  readonly nodes: number
  /** Waits until all nodes have what they need and no pod waits, or until the limit of the scenario. */
  readonly settle: () => Promise<void>
  readonly sleep: (ms: number) => Promise<void>
  /** What was before is preparation: waits of nodes and calls count from now on. By default they count from the start. */
  readonly measureFromNow: () => void
}

/** What a node runs from the start, as every node runs some: network, proxy, logs, metrics, storage (count of pods). */
const SYSTEM_PODS = 5
const BUSY_PODS = 10
const NO_CHURN = { podsPerNode: SYSTEM_PODS, podsPerSecondAndNode: 0 }

const HOUR_MS = 3_600_000
/** Pods of 50 a second on 10,000 nodes (count). */
const CHURN_PER_NODE = 0.005
/** Nodes of a burst on which pods wait (share). */
const BUSY_SHARE = 0.3
/** Nodes that are replaced in a second: below what the buckets serve, so that a node's wait is the controller's own. */
const REPLACED_PER_SECOND = 2
/** Of the account's rates, what a neighbour takes. */
const NEIGHBOUR_SHARE = 0.3
/** How long subnets stay full, and addresses that are left in each (ms, count). */
const FULL_MS = 300_000
const LEFT_FREE = 16
/** How long a restarted controller is watched for calls that it should not make (ms). */
const AFTER_RESTART_MS = 120_000

const twoPaths =
  (paths: readonly BucketRate[] = FIRST_ADDRESS_PATHS) =>
  (nodes: number): number =>
    lowerBoundSeconds(nodes, paths)

/** The scenarios by name. */
export const SCENARIOS = {
  'cold-start': {
    help: 'all nodes join at once',
    plan: NO_CHURN,
    lowerBound: twoPaths(),
    async play({ fleet, settle }) {
      await fleet.startController()
      await fleet.world.populate()
      await settle()
    },
  },
  burst: {
    help: 'all nodes join at once, and pods wait on three of ten',
    plan: { podsPerNode: 0, podsPerSecondAndNode: 0 },
    lowerBound: twoPaths(),
    async play({ fleet, nodes, settle }) {
      await fleet.startController()
      await fleet.world.populate()
      const busy = fleet.world.nodeNames.filter((_, index) => (index * BUSY_SHARE) % 1 < BUSY_SHARE)
      await Promise.all(
        busy.slice(0, Math.ceil(nodes * BUSY_SHARE)).map((name) => fleet.world.startPodsOn(name, BUSY_PODS)),
      )
      await settle()
    },
  },
  churn: {
    help: 'pods come and go for an hour, 50 a second on 10,000 nodes',
    plan: { podsPerNode: BUSY_PODS, podsPerSecondAndNode: CHURN_PER_NODE },
    lowerBound: twoPaths(),
    async play({ fleet, settle, sleep }) {
      await fleet.startController()
      await fleet.world.populate()
      await sleep(HOUR_MS)
      fleet.world.stopChurn()
      await settle()
    },
  },
  'rolling-replacement': {
    help: 'every node is replaced by a new one, two in a second',
    plan: NO_CHURN,
    lowerBound: (nodes) => (nodes - 1) / REPLACED_PER_SECOND,
    async play({ fleet, settle, sleep, measureFromNow }) {
      await fleet.startController()
      await fleet.world.populate()
      await settle()
      measureFromNow()
      const startMs = fleet.clock.now()
      for (const [index, name] of fleet.world.nodeNames.entries()) {
        // At fixed moments: what the removal itself takes is not added up.
        await sleep(startMs + (index * 1000) / REPLACED_PER_SECOND - fleet.clock.now())
        await fleet.world.removeNode(name)
        await fleet.world.addNode()
      }
      await settle()
    },
  },
  'subnet-exhaustion': {
    help: 'the subnets are full when the nodes join, and get room five minutes later',
    plan: NO_CHURN,
    lowerBound: (nodes) => Math.max(lowerBoundSeconds(nodes, FIRST_ADDRESS_PATHS), FULL_MS / 1000),
    async play({ fleet, settle, sleep }) {
      const { account } = fleet.simulators
      await fleet.startController()
      await fleet.world.populate()
      // Machines have their own addresses already: what is taken is what the pods would get.
      const occupied = await account.occupy(LEFT_FREE, fleet.closing)
      await sleep(FULL_MS)
      await account.free(occupied, fleet.closing)
      await settle()
    },
  },
  throttled: {
    help: 'all nodes join at once, in an account of whose rates a neighbour takes 30 %',
    plan: NO_CHURN,
    lowerBound: twoPaths(slowed(FIRST_ADDRESS_PATHS, NEIGHBOUR_SHARE)),
    async play({ fleet, settle }) {
      const neighbours = [{ bucket: '*', share: NEIGHBOUR_SHARE }]
      fleet.simulators.ec2.setThrottle({ ...DOCUMENTED_THROTTLE, neighbours })
      await fleet.startController()
      await fleet.world.populate()
      await settle()
    },
  },
  restart: {
    help: 'the controller of a settled fleet is replaced by a new one',
    plan: NO_CHURN,
    lowerBound: () => 0,
    async play({ fleet, settle, sleep, measureFromNow }) {
      await fleet.startController()
      await fleet.world.populate()
      await settle()
      await fleet.stopController()
      measureFromNow()
      await fleet.startController()
      await sleep(AFTER_RESTART_MS)
      await settle()
    },
  },
} as const satisfies Record<string, Scenario>

export type ScenarioName = keyof typeof SCENARIOS
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as readonly ScenarioName[]
