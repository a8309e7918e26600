import { CLOUD_FACTS } from '../fleet/cloud-facts.ts'
import { AGENT_GENERATIONS, CLOUD_NAMES } from '../fleet/world-plan.ts'
import type { AgentGenerations, CloudName, WorldPlan } from '../fleet/world-plan.ts'
import {
  UsageError,
  choiceOption,
  describeOptions,
  numberOption,
  parseCommandLine,
  switchOption,
  textOption,
} from './command-options.ts'
import type { CommandOptions } from './command-options.ts'
import { readThrottle } from './option-files.ts'

/** Nodes that the address plan of a simulated network is made for (count). */
const MAX_NODES = 2000
const MAX_PODS_PER_NODE = 250
const MAX_PODS_PER_SECOND = 1000
const MAX_SEED = 2 ** 31 - 1
const MAX_TIMEOUT_SECONDS = 86_400
/** Real agents report every 15 s; a person who watches should not have to wait for that (ms). */
const AGENT_UPDATE_INTERVAL_MS = 1000
/** Clouds that have a name here; those of `CLOUD_NAMES` are built. */
const KNOWN_CLOUDS = [...CLOUD_NAMES, 'alibabacloud']

interface RawOptions {
  readonly cloud: string
  readonly nodes: number
  readonly instanceType: string | undefined
  readonly prefixDelegation: boolean
  readonly podsPerNode: number | undefined
  readonly churn: number
  readonly agentGeneration: AgentGenerations
  readonly throttle: string
  readonly seed: number
  readonly untilConverged: boolean
  readonly timeout: number
  readonly json: boolean
}

const OPTIONS: CommandOptions<RawOptions> = {
  cloud: textOption(`simulated cloud: ${CLOUD_NAMES.join(' or ')}`, 'CLOUD', 'aws'),
  nodes: wholeNumber('nodes of the cluster', 1, MAX_NODES, 50),
  instanceType: textOption(
    `instance type of the nodes (${CLOUD_NAMES.map((name) => CLOUD_FACTS[name].defaultInstanceType).join('; ')})`,
    'TYPE',
    undefined,
  ),
  prefixDelegation: switchOption('delegate /28 prefixes in place of single addresses'),
  podsPerNode: numberOption('pods that each node starts with (10, or as many as fit)', {
    min: 0,
    max: MAX_PODS_PER_NODE,
    isWhole: true,
    defaultValue: undefined,
  }),
  churn: numberOption('pods that come, and as many that go, in a second over all nodes', {
    min: 0,
    max: MAX_PODS_PER_SECOND,
    isWhole: false,
    defaultValue: 1,
  }),
  agentGeneration: choiceOption('Cilium agents: to 1.19, from 1.20, or both', AGENT_GENERATIONS, 'pool'),
  throttle: textOption('limits of the cloud API: documented, none, or a file', 'documented|none|FILE', 'documented'),
  seed: wholeNumber('seed of identifiers, choices and pods', 0, MAX_SEED, 1),
  untilConverged: switchOption('end once every node has what it needs and no pod waits'),
  timeout: wholeNumber('seconds after which --until-converged gives up', 1, MAX_TIMEOUT_SECONDS, 600),
  json: switchOption('print the summary as JSON: the last line, and the only one, on stdout'),
}

export interface UpOptions {
  readonly plan: WorldPlan
  readonly isUntilConverged: boolean
  readonly timeoutMs: number
  readonly isJSON: boolean
}

export const UP_HELP = `berth up [options]

Runs the controller against the simulated APIs of a cloud and of Kubernetes, with nodes, agents and pods that come and go.

${describeOptions(OPTIONS)}
`

/** @throws UsageError with one line that names what is wrong */
export function parseUpOptions(args: readonly string[]): UpOptions | 'help' {
  const raw = parseCommandLine(OPTIONS, args)
  if (raw === 'help') return 'help'
  const cloud = readCloud(raw.cloud)
  const {
    nodes,
    instanceType = CLOUD_FACTS[cloud].defaultInstanceType,
    prefixDelegation,
    podsPerNode,
    churn,
    agentGeneration,
    seed,
  } = raw
  return {
    plan: {
      cloud,
      nodes,
      instanceType,
      prefixDelegation,
      podsPerNode,
      podsPerSecond: churn,
      agentGeneration,
      throttle: readThrottle(raw.throttle),
      seed,
      agentUpdateIntervalMs: AGENT_UPDATE_INTERVAL_MS,
    },
    isUntilConverged: raw.untilConverged,
    timeoutMs: raw.timeout * 1000,
    isJSON: raw.json,
  }
}

function wholeNumber(help: string, min: number, max: number, defaultValue: number) {
  return numberOption(help, { min, max, isWhole: true, defaultValue })
}

function readCloud(text: string): CloudName {
  const built = CLOUD_NAMES.find((name) => name === text)
  if (built !== undefined) return built
  if (KNOWN_CLOUDS.includes(text))
    throw new UsageError(`--cloud ${text}: not built yet; built are ${CLOUD_NAMES.join(', ')}`)
  const read = choiceOption('', KNOWN_CLOUDS, 'aws').read(text)
  throw new UsageError(`--cloud ${text}: ${'problem' in read ? read.problem : ''}`)
}
