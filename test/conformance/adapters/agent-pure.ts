import { validateENIConfig } from '../../../src/agent/cloud-result.ts'
import { IPAMError, IPNotAvailableInPoolError } from '../../../src/agent/errors.ts'
import { deriveFamily } from '../../../src/agent/family.ts'
import { decodeLocalNode } from '../../../src/agent/local-node.ts'
import { parsePodCIDRs } from '../../../src/agent/pod-cidr-watcher.ts'
import { neededIPCeil, parsePreAllocation } from '../../../src/agent/pool-demand.ts'
import { poolForPod } from '../../../src/agent/pool-of-pod.ts'
import { poolOrDefault } from '../../../src/agent/pool.ts'
import type { SmallCIDRs } from '../../../src/agent/range-bounds.ts'
import {
  addressAt,
  addressByIndex,
  addressesInPrefix,
  rangeBounds,
  rangeSize,
} from '../../../src/agent/range-bounds.ts'
import { deriveVPCCIDRs, listVPCCIDRs, nativeRoutingCIDR } from '../../../src/agent/vpc-cidrs.ts'
import type { CIDR } from '../../../src/ipam/ip-range.ts'
import { parseCIDR } from '../../../src/ipam/ip-range.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'

type Annotations = Readonly<Record<string, string>>

interface PureArguments {
  readonly numIp: number
  readonly preAlloc: number
  readonly ip: string
  readonly pool: string
  readonly cidr: string
  readonly smallCidr: SmallCIDRs
  readonly allowFirstIp?: boolean
  readonly allowLastIp?: boolean
  readonly index: number
  readonly node: JSONObject
  readonly configured: string | null
  readonly vpcCidrs: readonly string[]
  readonly world: {
    readonly namespaces: Readonly<Record<string, Annotations>>
    readonly pods: Readonly<Record<string, Annotations>>
  }
  readonly owner: string
  readonly family: string
  readonly map: Readonly<Record<string, string | number>>
  readonly podCIDRs: readonly string[]
  readonly left: ErrorText
  readonly right: ErrorText
}

interface ErrorText {
  readonly kind: string
  readonly ip?: string
}

/** The node's pure operations; undefined: not one of them. */
export const NODE_PURE_OPERATIONS: Readonly<Record<string, (args: PureArguments) => unknown>> = {
  neededIpCeil: ({ numIp, preAlloc }) => neededIPCeil(numIp, preAlloc),
  deriveFamily: ({ ip }) => deriveFamily(ip),
  poolOrDefault: ({ pool }) => poolOrDefault(pool),
  rangeSize: ({ cidr }) => rangeSize(cidrOf(cidr)),
  rangeBounds: ({ cidr, smallCidr, allowFirstIp, allowLastIp }) => {
    const parsed = cidrOf(cidr)
    const { firstOffset, count } = rangeBounds(parsed, {
      smallCIDR: smallCidr,
      allowFirstIP: allowFirstIp,
      allowLastIP: allowLastIp,
    })
    return { first: addressAt(parsed, firstOffset), count }
  },
  addressesInPrefix: ({ cidr }) => addressesInPrefix(cidrOf(cidr)),
  subnetGateway: ({ cidr, index }) => addressByIndex(cidrOf(cidr), index),
  vpcCidrs: ({ node }) => listVPCCIDRs(deriveVPCCIDRs(decodeLocalNode(node))),
  nativeRoutingCidr: ({ configured, vpcCidrs: [primary, ...secondary] }) => {
    if (primary === undefined) return { ready: false, set: null }
    return { ready: true, set: nativeRoutingCIDR(configured ?? undefined, { primary, secondary }) ?? null }
  },
  validateEniConfig: ({ node }) => validateENIConfig(decodeLocalNode(node)),
  poolForPod: ({ world, owner, family }) =>
    poolForPod(
      {
        podAnnotations: (namespace, name) => world.pods[`${namespace}/${name}`],
        namespaceAnnotations: (name) => world.namespaces[name],
      },
      owner,
      family,
    ),
  parsePreAllocation: ({ map }) =>
    parsePreAllocation(Object.fromEntries(Object.entries(map).map(([pool, value]) => [pool, String(value)]))),
  parsePodCidrs: ({ podCIDRs }) => parsePodCIDRs(podCIDRs),
  sameIpNotAvailableError: ({ left, right }) => {
    const error = errorOf(left)
    return error instanceof IPNotAvailableInPoolError && error.matches(errorOf(right))
  },
}

function cidrOf(text: string): CIDR {
  const cidr = parseCIDR(text)
  if (cidr === undefined) throw new IPAMError('CIDR_PARSE', `invalid CIDR ${text}`)
  return cidr
}

function errorOf({ kind, ip = '' }: ErrorText): unknown {
  if (kind === 'IpNotAvailableInPool') return new IPNotAvailableInPoolError(ip)
  return kind === 'none' ? undefined : new Error(`IP ${ip} is not available`)
}
