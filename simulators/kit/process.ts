import { readFile } from 'node:fs/promises'
import process from 'node:process'
import { parseArgs } from 'node:util'
import type { ParseArgsOptionsConfig } from 'node:util'
import type { Server, ServeOptions } from './http.ts'
import { InputError, parseJSON } from './input.ts'
import { parseThrottle, withNeighbour } from './rate-limit.ts'
import type { ThrottleChoice, ThrottleTable } from './rate-limit.ts'

/** Options of the command line that every simulator of a cloud has. */
const SHARED_OPTIONS = {
  host: { type: 'string', default: '127.0.0.1' },
  throttle: { type: 'string', default: 'documented' },
  neighbour: { type: 'string', default: '0' },
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

/** What the shared options come to; files are read. */
export interface SharedOptions {
  readonly seed: number
  readonly throttle: ThrottleChoice
  readonly latency: string
  readonly denied: string
  /** `default`, `empty`, or the content of a file. */
  readonly world: unknown
  /** The content of a file; undefined when there is none. */
  readonly faults: unknown
}

export interface SimulatorProcess {
  /** In front of every complaint: `ec2-simulator`. */
  readonly name: string
  /** What `--help` prints. */
  readonly usage: string
  readonly defaultPort: number
  readonly documentedThrottle: ThrottleTable
  /** Further options, all with a text; by name with their default. */
  readonly options: Readonly<Record<string, string | undefined>>
  /** @returns the simulator, not yet listening. @throws InputError */
  create(shared: SharedOptions, own: OwnOptions): Listening | Promise<Listening>
  /** What is said once it listens: how clients are pointed at it. */
  describe(url: string, own: OwnOptions): string
}

interface Listening {
  listen(options: ServeOptions): Promise<Server>
}

/** The further options of a simulator, as given. */
export interface OwnOptions {
  /** The text of an option; empty when it was not given and has no default. */
  text(name: string): string
  /** @throws InputError for anything but a whole number of at least `min` */
  integer(name: string, min: number): number
  /** The content of the JSON file that the option names; undefined when it was not given. @throws InputError */
  file(name: string): Promise<unknown>
}

/** A simulator as a process of its own: runs until it is told to end. Sets the exit status. */
export async function runSimulator(simulator: SimulatorProcess): Promise<void> {
  try {
    await run(simulator)
  } catch (error) {
    const isUsage = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
    process.stderr.write(`${simulator.name}: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = error instanceof InputError || isUsage ? EXIT_WRONG_INPUT : EXIT_FAILED
  }
}

async function run(simulator: SimulatorProcess): Promise<void> {
  const options: ParseArgsOptionsConfig = {
    ...SHARED_OPTIONS,
    port: { type: 'string', default: String(simulator.defaultPort) },
    ...Object.fromEntries(
      Object.entries(simulator.options).map(([name, otherwise]) => [
        name,
        { type: 'string', ...(otherwise !== undefined && { default: otherwise }) } as const,
      ]),
    ),
  }
  const { values } = parseArgs({ options, strict: true, allowPositionals: false })
  if (values['help'] === true) {
    process.stdout.write(simulator.usage)
    return
  }
  const own = ownOptions(values)
  const listening = await simulator.create(await sharedOptions(own, simulator.documentedThrottle), own)
  const server = await listening.listen({
    host: own.text('host'),
    port: own.integer('port', 0),
    onDefect: (error) => process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`),
  })
  process.stdout.write(simulator.describe(server.url, own))
  await terminated()
  await server.close()
}

async function sharedOptions(own: OwnOptions, documented: ThrottleTable): Promise<SharedOptions> {
  const named = own.text('throttle')
  const choice = named === 'documented' || named === 'none' ? named : parseThrottle(await own.file('throttle'))
  const share = parseShare('--neighbour', own.text('neighbour'))
  if (share > 0 && choice === 'none')
    throw new InputError('--neighbour', ['has nothing to take from: no call is metered'])
  const world = own.text('world')
  return {
    seed: own.integer('seed', 0),
    throttle: withNeighbour(choice, share, documented),
    latency: own.text('latency'),
    denied: own.text('denied'),
    world: world === 'default' || world === 'empty' ? world : await own.file('world'),
    faults: await own.file('faults'),
  }
}

/** A part of something, from 0 to below 1. @throws InputError naming the option */
export function parseShare(option: string, text: string): number {
  const share = Number(text)
  if (!/^\d?\.?\d+$/.test(text) || !(share >= 0 && share < 1)) {
    throw new InputError(option, [`must be a share from 0 to below 1, such as 0.3, not ${text}`])
  }
  return share
}

function ownOptions(values: Readonly<Record<string, unknown>>): OwnOptions {
  const text = (name: string): string => {
    const value = values[name]
    return typeof value === 'string' ? value : ''
  }
  return {
    text,
    integer(name, min) {
      const value = Number(text(name))
      if (!/^\d{1,9}$/.test(text(name)) || value < min) {
        throw new InputError(`--${name}`, [`must be a whole number of at least ${min}, not ${text(name)}`])
      }
      return value
    },
    file: async (name) => (text(name) === '' ? undefined : readJSON(name, text(name))),
  }
}

async function readJSON(option: string, path: string): Promise<unknown> {
  let content: string
  try {
    content = await readFile(path, 'utf8')
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new InputError(`--${option}`, [`cannot read ${path}: ${problem}`])
  }
  return parseJSON(content, `--${option} ${path}`)
}

function terminated(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}
