import {
  createEC2Simulator,
  DOCUMENTED_THROTTLE as EC2_THROTTLE,
  parseDenied,
  parseLatency,
  parseSettings,
  USUAL_CLOCK_SKEW_MS,
} from '../../simulators/aws/index.ts'
import type { EC2Simulator } from '../../simulators/aws/index.ts'
import {
  createAzureSimulator,
  DOCUMENTED_THROTTLE as ARM_THROTTLE,
  parseDenied as parseAzureDenied,
  parseLatency as parseAzureLatency,
} from '../../simulators/azure/index.ts'
import type { AzureSimulator } from '../../simulators/azure/index.ts'
import { parseFaults } from '../../simulators/kit/faults.ts'
import type { Server } from '../../simulators/kit/http.ts'
import { parseThrottle, withNeighbour } from '../../simulators/kit/rate-limit.ts'
import type { ThrottleTable } from '../../simulators/kit/rate-limit.ts'
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
/** A neighbour leaves something. */
const MAX_SHARE = 0.99

interface SimulatorsOptions {
  readonly host: string
  readonly ec2Port: number
  readonly armPort: number
  readonly kubernetesPort: number
  readonly region: string
  readonly throttle: string
  readonly armThrottle: string
  readonly neighbour: number
  readonly latency: string
  readonly denied: string | undefined
  readonly armDenied: string | undefined
  readonly faults: string | undefined
  readonly armFaults: string | undefined
  readonly kubernetesFaults: string | undefined
  readonly settings: string | undefined
  readonly world: string
  readonly armWorld: string
  readonly seed: number
}

const OPTIONS: CommandOptions<SimulatorsOptions> = {
  host: textOption('address to listen on', 'HOST', '127.0.0.1'),
  ec2Port: port('port of EC2, 0 for a free one', 4566),
  armPort: port('port of Azure Resource Manager, 0 for a free one', 4567),
  kubernetesPort: port('port of the Kubernetes API, 0 for a free one', 6443),
  region: textOption('AWS region', 'REGION', 'us-east-1'),
  throttle: textOption('limits of EC2: documented, none, or a file', 'documented|none|FILE', 'documented'),
  armThrottle: textOption('limits of Resource Manager, likewise', 'documented|none|FILE', 'documented'),
  neighbour: numberOption("part of every cloud bucket's refill that somebody else uses", {
    min: 0,
    max: MAX_SHARE,
    isWhole: false,
    defaultValue: 0,
  }),
  latency: textOption('of cloud calls: usual, none, milliseconds, or a range such as 80-300', 'MS', 'usual'),
  denied: textOption(
    'access keys that EC2 refuses, with AuthFailure or UnauthorizedOperation',
    'KEY=KIND,...',
    undefined,
  ),
  armDenied: textOption(
    'client IDs that Azure refuses, with InvalidAuthenticationToken or AuthorizationFailed',
    'CLIENT=KIND,...',
    undefined,
  ),
  faults: textOption('fault script of EC2', 'FILE', undefined),
  armFaults: textOption('fault script of Resource Manager', 'FILE', undefined),
  kubernetesFaults: textOption('fault script of the Kubernetes API', 'FILE', undefined),
  settings: textOption('how EC2 behaves: quotas, delays, eventual consistency', 'FILE', undefined),
  world: textOption('what EC2 holds at the start: default, empty, or a file', 'default|empty|FILE', 'default'),
  armWorld: textOption('what Azure holds at the start: default, empty, or a file', 'default|empty|FILE', 'default'),
  seed: numberOption('seed of identifiers, choices and chances', {
    min: 0,
    max: MAX_SEED,
    isWhole: true,
    defaultValue: 1,
  }),
}

const HELP = `berth simulators [options]

Simulated EC2, Azure Resource Manager and Kubernetes APIs for tests of your own, until Ctrl-C. Any credentials are accepted.

${describeOptions(OPTIONS)}
`

interface Simulators {
  readonly ec2: EC2Simulator
  readonly azure: AzureSimulator
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
    const { host, ec2Port, armPort, kubernetesPort } = options
    const ec2 = await simulators.ec2.listen({ host, port: ec2Port })
    servers.push(ec2)
    const arm = await simulators.azure.listen({ host, port: armPort })
    servers.push(arm)
    const kubernetes = await simulators.kubernetes.listen({ host, port: kubernetesPort })
    servers.push(kubernetes)
    const urls = { ec2: ec2.url, arm: arm.url, kubernetes: kubernetes.url }
    process.stdout.write(`${startLines(urls, options.region, simulators.azure).join('\n')}\n`)
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
  const { seed, kubernetesFaults } = options
  const kubernetesScript =
    kubernetesFaults === undefined ? [] : readOptionFile('--kubernetes-faults', kubernetesFaults, parseFaults)
  return {
    ec2: createEC2(options),
    azure: createAzure(options),
    kubernetes: createKubernetesSimulator({ seed, faults: kubernetesScript }),
  }
}

function createEC2(options: SimulatorsOptions): EC2Simulator {
  const { region, seed, faults, world } = options
  const latency = checked('--latency', options.latency, () => parseLatency(options.latency))
  const denied = checked('--denied', options.denied ?? '', () => parseDenied(options.denied ?? ''))
  const throttle = withNeighbour(throttleOf(readThrottle(options.throttle)), options.neighbour, EC2_THROTTLE)
  const content = contentOf('--world', world)
  const script = faults === undefined ? [] : readOptionFile('--faults', faults, parseFaults)
  const given = options.settings === undefined ? {} : readOptionFile('--settings', options.settings, parseSettings)
  const settings = { maxClockSkewMs: USUAL_CLOCK_SKEW_MS, ...given, region }
  const ec2 = checked('--world', world, () =>
    createEC2Simulator({ seed, settings, throttle, latency, denied, world: content }),
  )
  ec2.faults.set(script)
  return ec2
}

function createAzure(options: SimulatorsOptions): AzureSimulator {
  const { seed, armFaults, armWorld } = options
  const latency = checked('--latency', options.latency, () => parseAzureLatency(options.latency))
  const denied = checked('--arm-denied', options.armDenied ?? '', () => parseAzureDenied(options.armDenied ?? ''))
  const documented = throttleOf(readThrottle(options.armThrottle, '--arm-throttle'))
  const throttle = withNeighbour(documented, options.neighbour, ARM_THROTTLE)
  const content = contentOf('--arm-world', armWorld)
  const script = armFaults === undefined ? [] : readOptionFile('--arm-faults', armFaults, parseFaults)
  const azure = checked('--arm-world', armWorld, () =>
    createAzureSimulator({ seed, throttle, latency, denied, world: content }),
  )
  azure.faults.set(script)
  return azure
}

function throttleOf(choice: unknown): 'documented' | 'none' | ThrottleTable {
  return choice === 'documented' || choice === 'none' ? choice : parseThrottle(choice)
}

function contentOf(option: string, world: string): unknown {
  return world === 'default' || world === 'empty' ? world : readOptionFile(option, world, (value) => value)
}

function checked<T>(option: string, value: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new UsageError(`${option} ${value}: ${problem.replaceAll('\n', '; ')}`, { cause: error })
  }
}

function startLines(
  urls: { readonly ec2: string; readonly arm: string; readonly kubernetes: string },
  region: string,
  { settings }: AzureSimulator,
): readonly string[] {
  return [
    `EC2 on ${urls.ec2}, Azure Resource Manager on ${urls.arm}, the Kubernetes API on ${urls.kubernetes}; their control doors are under /_berth/. Ctrl-C ends them.`,
    '',
    `export AWS_ENDPOINT_URL_EC2=${urls.ec2}`,
    // Older clients know the second name of the region only.
    `export AWS_REGION=${region} AWS_DEFAULT_REGION=${region} AWS_ACCESS_KEY_ID=berth AWS_SECRET_ACCESS_KEY=simulator`,
    // Tokens come from the metadata service, which the simulator has too.
    `export AZURE_RESOURCE_MANAGER_ENDPOINT=${urls.arm} AZURE_POD_IDENTITY_AUTHORITY_HOST=${urls.arm}`,
    `export AZURE_SUBSCRIPTION_ID=${settings.subscriptionID} AZURE_RESOURCE_GROUP=${settings.resourceGroup}`,
    `alias kubectl='kubectl --server ${urls.kubernetes}'`,
    '',
    `berth controller --ipam eni --k8s-api-server ${urls.kubernetes}`,
    `berth controller --ipam azure --k8s-api-server ${urls.kubernetes}`,
  ]
}

function port(help: string, defaultValue: number) {
  return numberOption(help, { min: 0, max: MAX_PORT, isWhole: true, defaultValue })
}
