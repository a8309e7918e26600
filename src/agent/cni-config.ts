import type { Family } from './family.ts'
import { CNI_NAME, isInterfaceName } from './cni-environment.ts'
import { CNI_ERROR_CODES, CNIError } from './cni-error.ts'
import { supportedVersion } from './cni-version.ts'
import type { CNIVersion } from './cni-version.ts'

/** A route of the configuration, handed on as it is. */
export interface CNIRoute {
  readonly dst: string
  readonly gw?: string
}

/** One attachment that a runtime still knows, as GC is told of it. */
export interface ValidAttachment {
  readonly containerID: string
  readonly ifname: string
}

/** The network configuration, as far as an IPAM plug-in reads it. */
export interface NetworkConfig {
  readonly cniVersion: CNIVersion
  readonly name: string
  /** Path of the agent's socket. */
  readonly socket: string
  /** Undefined: every family that the agent serves. */
  readonly family: Family | undefined
  /** Empty: the pool that the agent finds for the owner. */
  readonly pool: string
  /** Length of the prefix that an address is given with (bits). */
  readonly prefixLengths: Readonly<Record<Family, number>>
  readonly routes: readonly CNIRoute[]
  /** Addresses of `prevResult`, without their prefix; undefined when there is no `prevResult`. */
  readonly previousIPs: readonly string[] | undefined
  /** Undefined when the configuration has no list: GC must not run then. */
  readonly validAttachments: readonly ValidAttachment[] | undefined
}

export const DEFAULT_SOCKET = '/var/run/berth/agent.sock'

const HOST_PREFIXES: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 }

/** Members of `ipam` that mean something here. Another one is refused: a typo must not pass for a default. */
const IPAM_MEMBERS = ['type', 'socket', 'family', 'pool', 'prefixLengths', 'routes']

type Members = Readonly<Record<string, unknown>>

/**
 * Reads the network configuration that a runtime writes to standard input.
 *
 * @throws CNIError undecodable, invalid config (with path and value), incompatible version
 * @source CNI specification 1.1.0, "Network configuration format" and "Execution Protocol"
 */
export function readNetworkConfig(text: string): NetworkConfig {
  const root = parse(text)
  const cniVersion = supportedVersion(versionOf(root))
  const name = textAt(root, 'name', 'name')
  if (!CNI_NAME.test(name)) throw invalid('name', root['name'], 'a network name')
  const ipam = objectAt(root, 'ipam', 'ipam') ?? {}
  const stranger = Object.keys(ipam).find((key) => !IPAM_MEMBERS.includes(key))
  if (stranger !== undefined)
    throw invalid(`ipam.${stranger}`, ipam[stranger], `no such member; known: ${IPAM_MEMBERS.join(', ')}`)
  const socket = textAt(ipam, 'socket', 'ipam.socket')
  return {
    cniVersion,
    name,
    socket: socket === '' ? DEFAULT_SOCKET : socket,
    family: readFamily(ipam),
    pool: textAt(ipam, 'pool', 'ipam.pool'),
    prefixLengths: readPrefixLengths(objectAt(ipam, 'prefixLengths', 'ipam.prefixLengths') ?? {}),
    routes: readRoutes(ipam),
    previousIPs: readPreviousIPs(root),
    validAttachments: readAttachments(root),
  }
}

/** `cniVersion` of a configuration that may be wrong in all else, for the answer about it; empty when it has none. */
export function versionIn(text: string): string {
  try {
    return versionOf(parse(text))
  } catch {
    return ''
  }
}

function parse(text: string): Members {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new CNIError(CNI_ERROR_CODES.undecodable, 'The network configuration is not JSON', (error as Error).message)
  }
  if (isObject(value)) return value
  throw new CNIError(CNI_ERROR_CODES.undecodable, 'The network configuration is not an object')
}

/** An absent version means 0.1.0, which is too old. @source CNI specification 0.2.0, "Network Configuration" */
function versionOf(root: Members): string {
  return textAt(root, 'cniVersion', 'cniVersion') || '0.1.0'
}

function readFamily(ipam: Members): Family | undefined {
  const family = textAt(ipam, 'family', 'ipam.family')
  if (family === '') return undefined
  if (family === 'ipv4' || family === 'ipv6') return family
  throw invalid('ipam.family', family, "'ipv4' or 'ipv6'")
}

function readPrefixLengths(lengths: Members): Readonly<Record<Family, number>> {
  const read = (family: Family): number => {
    const value = lengths[family] ?? HOST_PREFIXES[family]
    const isLength =
      typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= HOST_PREFIXES[family]
    if (!isLength) throw invalid(`ipam.prefixLengths.${family}`, value, `a whole number up to ${HOST_PREFIXES[family]}`)
    return value
  }
  return { ipv4: read('ipv4'), ipv6: read('ipv6') }
}

function readRoutes(ipam: Members): readonly CNIRoute[] {
  return listAt(ipam, 'routes', 'ipam.routes').map((route, index) => {
    const path = `ipam.routes[${index}]`
    if (!isObject(route)) throw invalid(path, route, 'an object')
    const dst = textAt(route, 'dst', `${path}.dst`)
    const gw = textAt(route, 'gw', `${path}.gw`)
    if (!/^[0-9A-Fa-f.:]+\/\d{1,3}$/.test(dst)) throw invalid(`${path}.dst`, route['dst'], 'a CIDR')
    return { dst, ...(gw !== '' && { gw }) }
  })
}

function readPreviousIPs(root: Members): readonly string[] | undefined {
  const previous = objectAt(root, 'prevResult', 'prevResult')
  if (previous === undefined) return undefined
  return listAt(previous, 'ips', 'prevResult.ips').map((entry, index) => {
    const address = isObject(entry) ? entry['address'] : undefined
    if (typeof address === 'string') return address.split('/', 1)[0] ?? ''
    throw invalid(`prevResult.ips[${index}].address`, address, 'an address with its prefix')
  })
}

/** libcni before 1.2.3 wrote the list under `cni.dev/attachments`; later ones write both. @source containernetworking/cni issue 1101 */
function readAttachments(root: Members): readonly ValidAttachment[] | undefined {
  const path = ['cni.dev/valid-attachments', 'cni.dev/attachments'].find(
    (key) => root[key] !== undefined && root[key] !== null,
  )
  if (path === undefined) return undefined
  return listAt(root, path, path).map((entry, index) => {
    const { containerID, ifname } = isObject(entry) ? entry : {}
    const isFine =
      typeof containerID === 'string' &&
      CNI_NAME.test(containerID) &&
      typeof ifname === 'string' &&
      isInterfaceName(ifname)
    if (!isFine) throw invalid(`${path}[${index}]`, entry, 'containerID and ifname')
    return { containerID, ifname }
  })
}

function textAt(members: Members, key: string, path: string): string {
  const value = members[key] ?? ''
  if (typeof value === 'string') return value
  throw invalid(path, value, 'a text')
}

function objectAt(members: Members, key: string, path: string): Members | undefined {
  const value = members[key] ?? undefined
  if (value === undefined || isObject(value)) return value
  throw invalid(path, value, 'an object')
}

function listAt(members: Members, key: string, path: string): readonly unknown[] {
  const value = members[key] ?? []
  if (Array.isArray(value)) return value
  throw invalid(path, value, 'a list')
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(path: string, value: unknown, expected: string): CNIError {
  const text = `Invalid network configuration: ${path}: expected ${expected}, found ${JSON.stringify(value) ?? 'nothing'}`
  return new CNIError(CNI_ERROR_CODES.invalidConfig, text)
}
