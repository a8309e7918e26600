import { readFile } from 'node:fs/promises'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { InputError, parseJSON } from '../kit/input.ts'
import { parseThrottle } from '../kit/rate-limit.ts'
import { DEFAULT_SETTINGS } from './cloud/settings.ts'
import { createAzureSimulator, parseDenied, parseLatency } from './index.ts'
import type { AzureSimulatorOptions, ThrottleChoice } from './index.ts'

const USAGE = `Azure Resource Manager simulator

  --host HOST            where to listen (127.0.0.1)
  --port PORT            0 takes a free one (4567)
  --location REGION      (westeurope)
  --subscription ID      (00000000-0000-0000-0000-0000000000aa)
  --resource-group NAME  of the machines (MC_berth_berth_westeurope)
  --throttle NAME|FILE   documented, none, or a throttle file (documented)
  --latency HOW          usual, none, milliseconds, or a range such as 80-300 (usual)
  --faults FILE          a fault file
  --world NAME|FILE      default, empty, or a world file (default)
  --denied CLIENT=KIND,...  clients to refuse: InvalidAuthenticationToken or AuthorizationFailed
  --seed N               identifiers, choices and durations follow from it (1)
  --help
`

const OPTIONS = {
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '4567' },
  location: { type: 'string', default: DEFAULT_SETTINGS.location },
  subscription: { type: 'string', default: DEFAULT_SETTINGS.subscriptionID },
  'resource-group': { type: 'string', default: DEFAULT_SETTINGS.resourceGroup },
  throttle: { type: 'string', default: 'documented' },
  latency: { type: 'string', default: 'usual' },
  faults: { type: 'string' },
  world: { type: 'string', default: 'default' },
  denied: { type: 'string', default: '' },
  seed: { type: 'string', default: '1' },
  help: { type: 'boolean', default: false },
} as const

/** A wrong option or file: exit status 2, as for every command of the project. */
const EXIT_WRONG_INPUT = 2
const EXIT_FAILED = 1

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS, strict: true, allowPositionals: false })
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const options: AzureSimulatorOptions = {
    seed: integer('seed', values.seed, 0),
    settings: {
      location: values.location,
      subscriptionID: values.subscription,
      resourceGroup: values['resource-group'],
    },
    throttle: await throttle(values.throttle),
    latency: parseLatency(values.latency),
    denied: parseDenied(values.denied),
    world:
      values.world === 'default' || values.world === 'empty' ? values.world : await readJSON('world', values.world),
    ...(values.faults === undefined ? {} : { faults: await readJSON('faults', values.faults) }),
  }
  const simulator = createAzureSimulator(options)
  const server = await simulator.listen({
    host: values.host,
    port: integer('port', values.port, 0),
    onDefect: (error) => process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`),
  })
  process.stdout.write(
    `Azure Resource Manager simulator on ${server.url}\n\nexport AZURE_RESOURCE_MANAGER_ENDPOINT=${server.url}\n` +
      `export AZURE_POD_IDENTITY_AUTHORITY_HOST=${server.url}\nexport AZURE_SUBSCRIPTION_ID=${values.subscription}\n`,
  )
  await terminated()
  await server.close()
  return 0
}

async function throttle(value: string): Promise<ThrottleChoice> {
  if (value === 'documented' || value === 'none') return value
  return parseThrottle(await readJSON('throttle', value))
}

async function readJSON(option: string, path: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new InputError(`--${option}`, [
      `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
    ])
  }
  return parseJSON(text, `--${option} ${path}`)
}

function integer(option: string, text: string, min: number): number {
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < min) {
    throw new InputError(`--${option}`, [`must be a whole number of at least ${min}, not ${text}`])
  }
  return value
}

function terminated(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  const isUsage = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  process.stderr.write(`azure-simulator: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof InputError || isUsage ? EXIT_WRONG_INPUT : EXIT_FAILED
}
