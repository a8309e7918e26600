import { parseScenario } from './scenario-file.ts'
import type { Scenario } from './scenario.ts'

/** Nodes of a burst on which pods wait, and pods that wait on each (share, count). */
const BUSY_SHARE = '30%'
const BUSY_PODS = 10
/** Pods of 50 a second on 10,000 nodes (count). */
const CHURN_PER_NODE = 0.005
/** Nodes that are replaced in a second: below what the buckets serve, so that a node's wait is the controller's own. */
const REPLACED_PER_SECOND = 2
/** Of the account's rates, what a neighbour takes. */
const NEIGHBOUR_SHARE = 0.3
/** Addresses that are left in each subnet when others have filled it (count): too few blocks for a node of each. */
const LEFT_FREE = 16

/** The named scenarios, in the form of a scenario file. */
const FILES = {
  'cold-start': {
    help: 'all nodes join at once',
    steps: ['startController', { join: 'all' }],
  },
  burst: {
    help: 'all nodes join at once, and pods wait on three of ten',
    podsPerNode: 0,
    steps: ['startController', { join: 'all' }, { startPods: { podsPerNode: BUSY_PODS, nodes: BUSY_SHARE } }],
  },
  churn: {
    help: 'pods come and go for an hour, 50 a second on 10,000 nodes',
    podsPerNode: 10,
    steps: ['startController', { join: 'all' }, { churn: { podsPerSecondAndNode: CHURN_PER_NODE, for: '1h' } }],
  },
  'rolling-replacement': {
    help: 'every node is replaced by a new one, two in a second',
    steps: [
      'startController',
      { join: 'all' },
      'settle',
      'measure',
      { replace: { nodes: 'all', perSecond: REPLACED_PER_SECOND } },
    ],
  },
  'subnet-exhaustion': {
    help: 'the subnets are full when the nodes join, and get room five minutes later',
    // Machines have their own addresses before: what is taken is what the pods would get.
    steps: ['startController', { join: 'all' }, { fillSubnets: { leaveFree: LEFT_FREE, for: '5m' } }],
  },
  throttled: {
    help: 'all nodes join at once, in an account of whose rates a neighbour takes 30 %',
    throttle: { neighbourShare: NEIGHBOUR_SHARE },
    steps: ['startController', { join: 'all' }],
  },
  'unknown-buckets': {
    help: 'all nodes join at once, in an account that has half of the documented rates and does not say so',
    throttle: { scale: 0.5 },
    steps: ['startController', { join: 'all' }],
  },
  restart: {
    help: 'the controller of a settled fleet is replaced by a new one',
    steps: [
      'startController',
      { join: 'all' },
      'settle',
      'stopController',
      'measure',
      'startController',
      // As long as somebody watches for calls that it should not make.
      { wait: '2m' },
    ],
  },
} as const

export type ScenarioName = keyof typeof FILES
export const SCENARIO_NAMES = Object.keys(FILES) as readonly ScenarioName[]

/** By name. */
export const SCENARIOS = Object.fromEntries(
  SCENARIO_NAMES.map((name) => [name, parseScenario(FILES[name], name)]),
) as Readonly<Record<ScenarioName, Scenario>>
