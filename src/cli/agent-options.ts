import { hostname } from 'node:os'
import { IPAM_MODES } from '../agent/configuration.ts'
import type { IPAMMode } from '../agent/configuration.ts'
import { DEFAULT_SOCKET } from '../agent/cni-config.ts'
import { parseIPv4CIDR, parseIPv6CIDR, isIPAddress } from '../ipam/ip-range.ts'
import type { PreAllocation } from '../agent/pool-demand.ts'
import { DEFAULT_PRE_ALLOCATION, parsePreAllocation } from '../agent/pool-demand.ts'
import { CONFIG_LOG_LEVELS } from '../config/config.ts'
import type { ConfigLogLevel } from '../config/config.ts'
import { duration, map } from '../config/values.ts'
import { choiceOption, describeOptions, parseCommandLine, textOption, UsageError } from './command-options.ts'
import type { CommandOption, CommandOptions } from './command-options.ts'

/** A length of time with the text that it was written as. */
export interface Duration {
  readonly ms: number
  toString(): string
}

export interface LoopbackAddress {
  readonly host: '127.0.0.1' | '::1'
  readonly port: number
}

/** What `berth agent` can be told. Names of flags that Cilium's agent has are Cilium's. */
export interface AgentOptions {
  readonly ipam: IPAMMode
  readonly nodeName: string | undefined
  readonly enableIPv4: 'true' | 'false'
  readonly enableIPv6: 'true' | 'false'
  readonly ipv4Range: string | undefined
  readonly ipv6Range: string | undefined
  readonly ipv4NativeRoutingCIDR: string | undefined
  readonly eniSource: 'pool' | 'status'
  readonly autoCreateCiliumNodeResource: 'true' | 'false'
  readonly ipamCiliumNodeUpdateRate: Duration
  readonly ipamMultiPoolPreAllocation: PreAllocation
  readonly cooldown: Duration
  readonly expiration: Duration
  readonly reserve: readonly string[]
  readonly exclude: readonly string[]
  readonly socket: string
  readonly apiAddress: LoopbackAddress | undefined
  readonly stateDir: string
  readonly prometheusServeAddr: string | undefined
  readonly kubeconfig: string | undefined
  readonly k8sApiServer: string | undefined
  readonly shutdownGracePeriod: Duration
  readonly logLevel: ConfigLogLevel
}

/**
 * The state lives as long as the pods that it tells of: both are gone after the machine's restart.
 *
 * @source file-hierarchy(7), /run
 */
const DEFAULT_STATE_DIR = '/var/run/berth/agent'

const OPTIONS: CommandOptions<AgentOptions> = {
  ipam: {
    ...choiceOption(`source of the addresses: ${IPAM_MODES.join(', ')}`, IPAM_MODES, 'cluster-pool'),
    placeholder: 'MODE',
  },
  nodeName: textOption('name of the node ($K8S_NODE_NAME, else the host name)', 'NAME', undefined),
  enableIPv4: choiceOption('give IPv4 addresses', ['true', 'false'], 'true'),
  enableIPv6: choiceOption('give IPv6 addresses', ['true', 'false'], 'false'),
  ipv4Range: cidrOption(
    'IPv4 addresses of this node, for cluster-pool and kubernetes (as the API server says)',
    parseIPv4CIDR,
  ),
  ipv6Range: cidrOption('IPv6 addresses of this node, likewise', parseIPv6CIDR),
  ipv4NativeRoutingCIDR: cidrOption("CIDR that is routed without masquerading (the VPC's)", parseIPv4CIDR),
  eniSource: choiceOption(
    'where mode eni reads addresses: spec.ipam.pool, as agents to 1.19, or the ENI status, as from 1.20 on (own option)',
    ['pool', 'status'],
    'pool',
  ),
  autoCreateCiliumNodeResource: choiceOption(
    'create the CiliumNode of this node, or complete it',
    ['true', 'false'],
    'true',
  ),
  ipamCiliumNodeUpdateRate: durationOption('between two writes of the CiliumNode', '15s'),
  ipamMultiPoolPreAllocation: preAllocationOption(),
  cooldown: durationOption('how long a released address is held back from other pods (own option)', '30s'),
  expiration: durationOption('how long an address lasts that was asked for with expiration (own option)', '10m'),
  reserve: listOption(
    'names that take an address of each family for the agent itself, e.g. router,health (own option)',
    isName,
  ),
  exclude: listOption("addresses never to give, e.g. the node's own (own option)", isIPAddress),
  socket: textOption('Unix socket of the API', 'PATH', DEFAULT_SOCKET),
  apiAddress: loopbackOption('loopback address of the API too, e.g. 127.0.0.1:9876 (own option)'),
  stateDir: textOption('folder of what must survive a restart of the agent (own option)', 'DIR', DEFAULT_STATE_DIR),
  prometheusServeAddr: textOption('address of /metrics, /healthz and /readyz besides the socket', 'ADDRESS', undefined),
  kubeconfig: textOption('kubeconfig file (in-cluster, else $KUBECONFIG, else ~/.kube/config)', 'FILE', undefined),
  k8sApiServer: textOption('URL of the API server, in place of the one of the kubeconfig', 'URL', undefined),
  shutdownGracePeriod: durationOption('how long running requests may take after the stop signal (own option)', '5s'),
  logLevel: choiceOption('least level of the log', CONFIG_LOG_LEVELS, 'info'),
}

/** An unset name of the node is looked for here. @source cilium pkg/k8s/constants, EnvNodeNameSpec */
const NODE_NAME_VARIABLE = 'K8S_NODE_NAME'

/** The options, with the node's name found. */
export type AgentSettings = AgentOptions & { readonly nodeName: string }

/**
 * Reads the command line.
 *
 * @throws UsageError in one line
 */
export function readAgentOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): AgentSettings | 'help' {
  const options = parseCommandLine(OPTIONS, args)
  if (options === 'help') return 'help'
  if (options.enableIPv4 === 'false' && options.enableIPv6 === 'false') {
    throw new UsageError('--enable-ipv4 and --enable-ipv6 are both false: there would be no address to give')
  }
  const named = environment[NODE_NAME_VARIABLE] ?? ''
  return { ...options, nodeName: options.nodeName ?? (named === '' ? hostname() : named) }
}

export function agentHelp(): string {
  return `berth agent [options]

The node's half: gives the addresses of this node to its pods, over a Unix socket. 'berth-ipam' is the CNI plug-in that asks it.

${describeOptions(OPTIONS)}

Exit codes: 0 stopped by a signal, 1 failed, 2 wrong usage.
`
}

function durationOption(help: string, initial: string): CommandOption<Duration> {
  const read = (text: string): Duration | undefined => {
    const parsed = duration.safeParse(text)
    return parsed.success ? { ms: parsed.data, toString: () => text } : undefined
  }
  return {
    placeholder: 'DURATION',
    help,
    default: read(initial) ?? { ms: 0, toString: () => '0' },
    read(text) {
      const value = read(text)
      return value === undefined ? { problem: 'must be a duration with its unit, such as 5m or 15s' } : { value }
    },
  }
}

function cidrOption(help: string, parse: (text: string) => unknown): CommandOption<string | undefined> {
  return {
    placeholder: 'CIDR',
    help,
    default: undefined,
    read: (text) => (parse(text) === undefined ? { problem: 'must be a CIDR of this family' } : { value: text }),
  }
}

function listOption(help: string, isItem: (text: string) => boolean): CommandOption<readonly string[]> {
  return {
    placeholder: 'LIST',
    help,
    default: Object.assign([], { toString: () => 'none' }),
    read(text) {
      const items = text.split(/[\s,]+/).filter((item) => item !== '')
      const stranger = items.find((item) => !isItem(item))
      return stranger === undefined ? { value: items } : { problem: `'${stranger}' cannot be one` }
    },
  }
}

/** An owner without a slash, so that it is no pod. */
function isName(text: string): boolean {
  return /^[a-z][a-z0-9-]*$/.test(text)
}

function preAllocationOption(): CommandOption<PreAllocation> {
  return {
    placeholder: 'MAP',
    help: 'addresses kept free in each pool, for multi-pool',
    default: Object.assign(new Map(DEFAULT_PRE_ALLOCATION), { toString: () => 'default=8' }),
    read(text) {
      const pairs = map.safeParse(text)
      try {
        if (pairs.success) return { value: parsePreAllocation(pairs.data) }
      } catch {
        // Said below.
      }
      return { problem: 'must be pairs of a pool and a whole number, such as default=8,red=4' }
    },
  }
}

function loopbackOption(help: string): CommandOption<LoopbackAddress | undefined> {
  return {
    placeholder: 'ADDRESS',
    help,
    default: undefined,
    read(text) {
      const [, host, digits] = /^(127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})$/.exec(text) ?? []
      const port = Number(digits)
      if (host === undefined || port > 65_535) return { problem: 'must be 127.0.0.1:PORT or [::1]:PORT' }
      return { value: { host: host === '[::1]' ? '::1' : '127.0.0.1', port } }
    },
  }
}
