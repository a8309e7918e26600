import { createEC2Simulator, parseDenied, parseLatency } from '../../simulators/aws/index.ts'
import type { EC2Simulator, ThrottleChoice } from '../../simulators/aws/index.ts'
import { parseFaults } from '../../simulators/kit/faults.ts'
import type { Server } from '../../simulators/kit/http.ts'
import { parseThrottle } from '../../simulators/kit/rate-limit.ts'
import { createKubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { KubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import { UsageError, describeOptions, numberOption, parseCommandLine, textOption } from './command-options.ts'
import type { CommandOptions } from './command-options.ts'
import { interruption } from './interruption.ts'
import { readOptionFile, readThrottle } from './option-files.ts'

const OK = 0
const FAILED = 1
const USAGE = 2
const MAX_PORT = 65_535
const MAX_SEED = 2 ** 31 - 1

interface SimulatorsOptions {
  readonly host: string
  readonly ec2Port: number
  readonly kubernetesPort: number
  readonly region: string
  readonly throttle: string
  readonly latency: string
  readonly denied: string | undefined
  readonly faults: string | undefined
  readonly kubernetesFaults: string | undefined
  readonly world: string
  readonly seed: number
}

const OPTIONS: CommandOptions<SimulatorsOptions> = {
  host: textOption('address to listen on', 'HOST', '127.0.0.1'),
  ec2Port: port('port of EC2, 0 for a free one', 4566),
  kubernetesPort: port('port of the Kubernetes API, 0 for a free one', 6443),
  region: textOption('AWS region', 'REGION', 'us-east-1'),
  throttle: textOption('limits of EC2: documented, none, or a file', 'documented|none|FILE', 'documented'),
  latency: textOption('of EC2 calls: usual, none, milliseconds, or a range such as 80-300', 'MS', 'usual'),
  denied: textOption(
    'access keys that EC2 refuses, with AuthFailure or UnauthorizedOperation',
    'KEY=KIND,...',
    undefined,
  ),
  faults: textOption('fault script of EC2', 'FILE', undefined),
  kubernetesFaults: textOption('fault script of the Kubernetes API', 'FILE', undefined),
  world: textOption('what EC2 holds at the start: default, empty, or a file', 'default|empty|FILE', 'default'),
  seed: numberOption('seed of identifiers, choices and chances', {
    min: 0,
    max: MAX_SEED,
    isWhole: true,
    defaultValue: 1,
  }),
}

const HELP = `berth simulators [options]

Simulated EC2 and Kubernetes APIs for tests of your own, until Ctrl-C. Any credentials are accepted.

${describeOptions(OPTIONS)}
`

interface Simulators {
  readonly ec2: EC2Simulator
  readonly kubernetes: KubernetesSimulator
}

/**
 * `berth simulators`: the simulators alone.
 *
 * @param args what follows `simulators` on the command line
 * @returns the exit code: 0 ended by a signal, 1 a port is taken, 2 wrong usage
 */
export async function runSimulators(args: readonly string[]): Promise<number> {
  let options: SimulatorsOptions
  let simulators: Simulators
  try {
    const parsed = parseCommandLine(OPTIONS, args)
    if (parsed === 'help') {
      process.stdout.write(HELP)
      return OK
    }
    options = parsed
    simulators = create(parsed)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`berth simulators: ${error.message}\n`)
    return USAGE
  }
  const interrupted = interruption()
  const servers: Server[] = []
  try {
    const { host, ec2Port, kubernetesPort } = options
    const ec2 = await simulators.ec2.listen({ host, port: ec2Port })
    servers.push(ec2)
    const kubernetes = await simulators.kubernetes.listen({ host, port: kubernetesPort })
    servers.push(kubernetes)
    process.stdout.write(`${startLines(ec2.url, kubernetes.url, options.region).join('\n')}\n`)
    await interrupted.promise
    return OK
  } catch (error) {
    process.stderr.write(`berth simulators: ${error instanceof Error ? error.message : String(error)}\n`)
    return FAILED
  } finally {
    simulators.kubernetes.close()
    await Promise.all(servers.map((server) => server.close()))
    interrupted.release()
  }
}

/** @throws UsageError naming the option whose value or file is wrong */
function create(options: SimulatorsOptions): Simulators {
  const { region, seed, faults, kubernetesFaults, world } = options
  const throttle = readThrottle(options.throttle)
  const checked = <T>(option: string, value: string, read: () => T): T => {
    try {
      return read()
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      throw new UsageError(`${option} ${value}: ${problem.replaceAll('\n', '; ')}`, { cause: error })
    }
  }
  const latency = checked('--latency', options.latency, () => parseLatency(options.latency))
  const denied = checked('--denied', options.denied ?? '', () => parseDenied(options.denied ?? ''))
  const content = world === 'default' || world === 'empty' ? world : readOptionFile('--world', world, (value) => value)
  const script = faults === undefined ? [] : readOptionFile('--faults', faults, parseFaults)
  const kubernetesScript =
    kubernetesFaults === undefined ? [] : readOptionFile('--kubernetes-faults', kubernetesFaults, parseFaults)
  const ec2 = checked('--world', world, () =>
    createEC2Simulator({
      seed,
      settings: { region },
      throttle:
        throttle === 'documented' || throttle === 'none' ? throttle : (parseThrottle(throttle) as ThrottleChoice),
      latency,
      denied,
      world: content,
    }),
  )
  ec2.faults.set(script)
  return { ec2, kubernetes: createKubernetesSimulator({ seed, faults: kubernetesScript }) }
}

function startLines(ec2URL: string, kubernetesURL: string, region: string): readonly string[] {
  return [
    `EC2 on ${ec2URL}, the Kubernetes API on ${kubernetesURL}; their control doors are under /_berth/. Ctrl-C ends them.`,
    '',
    `export AWS_ENDPOINT_URL_EC2=${ec2URL}`,
    `export AWS_REGION=${region} AWS_ACCESS_KEY_ID=berth AWS_SECRET_ACCESS_KEY=simulator`,
    `alias kubectl='kubectl --server ${kubernetesURL}'`,
    '',
    `berth controller --ipam eni --k8s-api-server ${kubernetesURL}`,
  ]
}

function port(help: string, defaultValue: number) {
  return numberOption(help, { min: 0, max: MAX_PORT, isWhole: true, defaultValue })
}
