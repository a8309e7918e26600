import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseFaults } from '../kit/faults.ts'
import { parseJSON } from '../kit/input.ts'
import { createKubernetesSimulator } from './index.ts'
import type { KubernetesSimulatorOptions } from './index.ts'
import { parseManifests, readCRDManifests } from './manifests.ts'

/** The simulator as a process of its own: `node simulators/kubernetes/main.ts --port 6443`. */

const HELP = `node simulators/kubernetes/main.ts [options]
  --host HOST            address to listen on (127.0.0.1)
  --port PORT            port to listen on, 0 for a free one (6443)
  --manifests FILE       further objects there from the start, as YAML; may be repeated
  --no-crds              without the definitions of deploy/crds
  --faults FILE          fault script (JSON)
  --latency MS           added to every call about resources (0)
  --history COUNT        events kept for each resource (10000)
  --bookmark-interval MS time between bookmarks of a watch (60000)
  --pod-termination MS   how long a deleted pod on a node stays (1000)
  --token TOKEN          bearer token that is accepted, may be repeated; without it any request is
  --seed N               seed of ids, names and chances (1)
`

/** Exit codes: the world would not have it, or the command line was wrong. */
const FAILED = 1
const USAGE = 2

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '6443' },
      manifests: { type: 'string', multiple: true, default: [] },
      'no-crds': { type: 'boolean', default: false },
      faults: { type: 'string' },
      latency: { type: 'string', default: '0' },
      history: { type: 'string', default: '10000' },
      'bookmark-interval': { type: 'string', default: '60000' },
      'pod-termination': { type: 'string', default: '1000' },
      token: { type: 'string', multiple: true },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  const options: KubernetesSimulatorOptions = {
    seed: integer('seed', values.seed, 0),
    historySize: integer('history', values.history, 1),
    bookmarkIntervalMs: integer('bookmark-interval', values['bookmark-interval'], 1),
    podTerminationMs: integer('pod-termination', values['pod-termination'], 0),
    latencyMs: integer('latency', values.latency, 0),
    manifests: [
      ...(values['no-crds'] ? [] : readCRDManifests()),
      ...values.manifests.flatMap((file) => parseManifests(readFileSync(file, 'utf8'), file)),
    ],
    ...(values.faults === undefined
      ? {}
      : { faults: parseFaults(parseJSON(readFileSync(values.faults, 'utf8'), values.faults)) }),
    ...(values.token === undefined ? {} : { tokens: values.token }),
  }
  const simulator = createKubernetesSimulator(options)
  const server = await simulator.listen({ host: values.host, port: integer('port', values.port, 0, 65_535) })
  process.stdout.write(`Kubernetes API simulator listens on ${server.url}\n`)
  process.stdout.write(`  kubectl --server ${server.url} get ciliumnodes\n`)
  const stop = (): void => {
    simulator.close()
    void server.close()
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}

function integer(name: string, text: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new Error(`--${name} must be a whole number ${range}, not ${JSON.stringify(text)}`)
}

function isInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = isInUse(error) ? FAILED : USAGE
}
