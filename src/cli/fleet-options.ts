import { CLOUDS } from '../fleet/clouds.ts'
import { SCENARIOS, SCENARIO_NAMES } from '../fleet/scenarios.ts'
import type { Scenario } from '../fleet/scenario.ts'
import { parseScenario } from '../fleet/scenario-file.ts'
import { CLOUD_NAMES } from '../fleet/world-plan.ts'
import type { CloudName } from '../fleet/world-plan.ts'
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
import { checkOutputFile, readNamedOrFile } from './option-files.ts'

/** More nodes than this are beyond what one process can hold (count). */
const MAX_NODES = 200_000
const DEFAULT_NODES = 1000
const MAX_SEED = 2 ** 31 - 1
const ALL_CLOUDS = [...CLOUD_NAMES, 'alibabacloud'] as const

export interface FleetOptions {
  readonly cloud: CloudName
  readonly nodes: number
  readonly instanceType: string
  readonly prefixDelegation: boolean
  readonly scenario: Scenario
  readonly seed: number
  readonly isJSON: boolean
  /** Where the page of the report goes; undefined: no page. */
  readonly report: string | undefined
}

interface RawOptions {
  readonly cloud: (typeof ALL_CLOUDS)[number]
  readonly nodes: number | undefined
  readonly instanceType: string | undefined
  readonly prefixDelegation: boolean
  readonly scenario: string
  readonly seed: number
  readonly json: boolean
  readonly report: string | undefined
}

const OPTIONS: CommandOptions<RawOptions> = {
  cloud: choiceOption(`simulated cloud; ${CLOUD_NAMES.join(' and ')} are built`, ALL_CLOUDS, 'aws'),
  nodes: wholeNumber(
    `nodes of the cluster (those of the scenario file, else ${DEFAULT_NODES})`,
    1,
    MAX_NODES,
    undefined,
  ),
  instanceType: textOption(
    `instance types of the nodes with their shares; mix: four sizes in equal parts (that of the scenario file, else ${CLOUDS.aws.defaultInstanceType} or ${CLOUDS.azure.defaultInstanceType})`,
    'TYPE[:SHARE],...|mix',
    undefined,
  ),
  prefixDelegation: switchOption('delegate /28 prefixes in place of single addresses'),
  scenario: textOption(
    'what happens: one of the names below, or a YAML or JSON file (docs/scenarios.md)',
    'NAME|FILE',
    'cold-start',
  ),
  seed: wholeNumber('seed of identifiers, choices and delays', 0, MAX_SEED, 1),
  json: switchOption('print the report as one line of JSON'),
  report: textOption('write the report as a page with plots over time', 'FILE.html', undefined),
}

const width = Math.max(...SCENARIO_NAMES.map((name) => name.length)) + 2

export const FLEET_HELP = `berth fleet [options]

Plays a scenario of a simulated fleet in virtual time: the real controller with the real SDK against in-process simulators of the cloud
and of Kubernetes. Hours pass in seconds, and the same seed gives the same report.

${describeOptions(OPTIONS)}

Scenarios:
${SCENARIO_NAMES.map((name) => `  ${name.padEnd(width)}${SCENARIOS[name].help}`).join('\n')}
`

/** @throws UsageError with one line that names what is wrong */
export function parseFleetOptions(args: readonly string[]): FleetOptions | 'help' {
  const raw = parseCommandLine(OPTIONS, args)
  if (raw === 'help') return 'help'
  const cloud = CLOUD_NAMES.find((name) => name === raw.cloud)
  if (cloud === undefined)
    throw new UsageError(`--cloud ${raw.cloud}: not built yet; built are ${CLOUD_NAMES.join(', ')}`)
  if (raw.report !== undefined) checkOutputFile('--report', raw.report)
  const scenario = readNamedOrFile('--scenario', raw.scenario, SCENARIOS, parseScenario)
  const { defaultInstanceType, mixedInstanceTypes } = CLOUDS[cloud]
  const instanceType = raw.instanceType ?? scenario.instanceType ?? defaultInstanceType
  return {
    cloud,
    nodes: raw.nodes ?? scenario.nodes ?? DEFAULT_NODES,
    instanceType: instanceType === 'mix' ? mixedInstanceTypes : instanceType,
    prefixDelegation: raw.prefixDelegation || scenario.prefixDelegation === true,
    scenario,
    seed: raw.seed,
    isJSON: raw.json,
    report: raw.report,
  }
}

function wholeNumber<D extends number | undefined>(help: string, min: number, max: number, defaultValue: D) {
  return numberOption(help, { min, max, isWhole: true, defaultValue })
}
