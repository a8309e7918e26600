import { SCENARIOS, SCENARIO_NAMES } from '../fleet/scenarios.ts'
import type { ScenarioName } from '../fleet/scenarios.ts'
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

/** More nodes than this are beyond what one process can hold (count). */
const MAX_NODES = 200_000
const MAX_SEED = 2 ** 31 - 1
const CLOUDS = ['aws', 'azure', 'alibabacloud'] as const
/** What `--instance-type mix` stands for. */
const MIX = 'm5.large:1,m5.xlarge:1,m5.2xlarge:1,m5.4xlarge:1'

export interface FleetOptions {
  readonly nodes: number
  readonly instanceType: string
  readonly prefixDelegation: boolean
  readonly scenario: ScenarioName
  readonly seed: number
  readonly isJSON: boolean
}

interface RawOptions extends Omit<FleetOptions, 'isJSON'> {
  readonly cloud: (typeof CLOUDS)[number]
  readonly json: boolean
}

const OPTIONS: CommandOptions<RawOptions> = {
  cloud: choiceOption('simulated cloud; aws is built', CLOUDS, 'aws'),
  nodes: wholeNumber('nodes of the cluster', 1, MAX_NODES, 1000),
  instanceType: textOption(
    'EC2 instance types of the nodes with their shares; mix: m5.large, xlarge, 2xlarge and 4xlarge in equal parts',
    'TYPE[:SHARE],...|mix',
    'm5.large',
  ),
  prefixDelegation: switchOption('delegate /28 prefixes in place of single addresses'),
  scenario: choiceOption('what happens', SCENARIO_NAMES, 'cold-start'),
  seed: wholeNumber('seed of identifiers, choices and delays', 0, MAX_SEED, 1),
  json: switchOption('print the report as one line of JSON'),
}

const width = Math.max(...SCENARIO_NAMES.map((name) => name.length)) + 2

export const FLEET_HELP = `berth fleet [options]

Plays a scenario of a simulated fleet in virtual time: the real controller with the real SDK against in-process simulators of EC2 and
Kubernetes. Hours pass in seconds, and the same seed gives the same report.

${describeOptions(OPTIONS)}

Scenarios:
${SCENARIO_NAMES.map((name) => `  ${name.padEnd(width)}${SCENARIOS[name].help}`).join('\n')}
`

/** @throws UsageError with one line that names what is wrong */
export function parseFleetOptions(args: readonly string[]): FleetOptions | 'help' {
  const raw = parseCommandLine(OPTIONS, args)
  if (raw === 'help') return 'help'
  const { cloud, instanceType, json, ...rest } = raw
  if (cloud !== 'aws') throw new UsageError(`--cloud ${cloud}: not built yet; built are aws`)
  return { ...rest, instanceType: instanceType === 'mix' ? MIX : instanceType, isJSON: json }
}

function wholeNumber(help: string, min: number, max: number, defaultValue: number) {
  return numberOption(help, { min, max, isWhole: true, defaultValue })
}
