import { readFile } from 'node:fs/promises'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { InputError, parseJSON } from '../kit/input.ts'
import { parseThrottle } from '../kit/rate-limit.ts'
import { createEC2Simulator, parseDenied, parseLatency } from './index.ts'
import type { EC2SimulatorOptions, ThrottleChoice } from './index.ts'

const USAGE = `EC2 simulator

  --host HOST            where to listen (127.0.0.1)
  --port PORT            0 takes a free one (4566)
  --region REGION        (us-east-1)
  --throttle NAME|FILE   documented, none, or a throttle file (documented)
  --latency HOW          usual, none, milliseconds, or a range such as 80-300 (usual)
  --faults FILE          a fault file
  --world NAME|FILE      default, empty, or a world file (default)
  --denied KEY=KIND,...  access keys to refuse: AuthFailure or UnauthorizedOperation
  --interface-quota N    network interfaces of the account (5000)
  --seed N               identifiers, choices and delays follow from it (1)
  --help
`

const OPTIONS = {
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '4566' },
  region: { type: 'string', default: 'us-east-1' },
  throttle: { type: 'string', default: 'documented' },
  latency: { type: 'string', default: 'usual' },
  faults: { type: 'string' },
  world: { type: 'string', default: 'default' },
  denied: { type: 'string', default: '' },
  'interface-quota': { type: 'string', default: '5000' },
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
  const options: EC2SimulatorOptions = {
    seed: integer('seed', values.seed, 0),
    settings: {
      region: values.region,
      quotas: { interfaces: integer('interface-quota', values['interface-quota'], 1) },
    },
    throttle: await throttle(values.throttle),
    latency: parseLatency(values.latency),
    denied: parseDenied(values.denied),
    world:
      values.world === 'default' || values.world === 'empty' ? values.world : await readJSON('world', values.world),
    ...(values.faults === undefined ? {} : { faults: await readJSON('faults', values.faults) }),
  }
  const simulator = createEC2Simulator(options)
  const server = await simulator.listen({
    host: values.host,
    port: integer('port', values.port, 0),
    onDefect: (error) => process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`),
  })
  process.stdout.write(
    `EC2 simulator on ${server.url}\n\nexport AWS_ENDPOINT_URL_EC2=${server.url}\n` +
      `export AWS_REGION=${values.region} AWS_DEFAULT_REGION=${values.region}\nexport AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test\n`,
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
  process.stderr.write(`ec2-simulator: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof InputError || isUsage ? EXIT_WRONG_INPUT : EXIT_FAILED
}
