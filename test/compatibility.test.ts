import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { AllocationResult, Allocator } from '../src/agent/allocator.ts'
import type { Configuration, K8sEventRegister, MTUConfiguration, Owner } from '../src/agent/configuration.ts'
import { createIPAM } from '../src/agent/create-ipam.ts'
import type { AllocationError } from '../src/agent/errors.ts'
import { familyDisabledError, IPNotAvailableInPoolError } from '../src/agent/errors.ts'
import type { OwnedNetwork } from '../src/agent/exclusion-list.ts'
import { ExclusionList } from '../src/agent/exclusion-list.ts'
import type { Family } from '../src/agent/family.ts'
import { deriveFamily, IPv4, IPv6 } from '../src/agent/family.ts'
import { IPAM } from '../src/agent/ipam.ts'
import type { Pool } from '../src/agent/pool.ts'
import { POOL_DEFAULT, poolOrDefault } from '../src/agent/pool.ts'
import type { CiliumNodeGetterUpdater } from '../src/controller/api-server.ts'
import type { NodeManager } from '../src/controller/node-manager.ts'
import type { Node } from '../src/controller/node.ts'
import type {
  AllocationImplementation,
  CIDROperations,
  MetricsAPI,
  NodeOperations,
  PrefixOperations,
  StaticIPOperations,
  TriggerObserver,
} from '../src/ipam/contracts.ts'

/**
 * Every exported name of the reference's core has a typed home, and docs/compatibility.md says where. The lists below are
 * checked by the compiler (`satisfies`), the table by this test.
 */

const TYPED_MEMBERS = {
  AllocationImplementation: [
    'createNode',
    'getPoolQuota',
    'resync',
    'instanceSync',
    'hasInstance',
    'deleteInstance',
  ] as const satisfies readonly (keyof AllocationImplementation)[],
  NodeOperations: [
    'updatedNode',
    'populateStatusFields',
    'prepareIPAllocation',
    'allocateIPs',
    'createInterface',
    'prepareIPRelease',
    'releaseIPs',
    'resyncInterfacesAndIPs',
    'getMaximumAllocatableIPv4',
    'getMinimumAllocatableIPv4',
    'isPrefixDelegated',
  ] as const satisfies readonly (keyof NodeOperations)[],
  PrefixOperations: [
    'releaseIPPrefixes',
    'getUsedIPWithPrefixes',
  ] as const satisfies readonly (keyof PrefixOperations)[],
  StaticIPOperations: ['allocateStaticIP'] as const satisfies readonly (keyof StaticIPOperations)[],
  CIDROperations: [
    'getAttachedCIDRs',
    'prepareCIDRRelease',
    'releaseCIDRs',
  ] as const satisfies readonly (keyof CIDROperations)[],
  Node: [
    'instanceID',
    'isRunning',
    'setRunning',
    'isPrefixDelegationEnabled',
    'stats',
    'ops',
    'pool',
    'resourceCopy',
    'getNeededAddresses',
    'updatedResource',
    'maintainIPPool',
    'populateIPReleaseStatus',
    'populateStaticIPStatus',
    'setOpts',
    'setPoolMaintainer',
  ] as const satisfies readonly (keyof Node)[],
  NodeManager: [
    'start',
    'stop',
    'upsert',
    'create',
    'update',
    'delete',
    'get',
    'getNames',
    'getNodesByIPWatermark',
    'resync',
    'clusterSizeDependantInterval',
    'setInstancesAPIReadiness',
    'instancesAPIIsReady',
  ] as const satisfies readonly (keyof NodeManager)[],
  CiliumNodeGetterUpdater: [
    'create',
    'update',
    'updateStatus',
    'get',
  ] as const satisfies readonly (keyof CiliumNodeGetterUpdater)[],
  MetricsAPI: [
    'allocationAttempt',
    'releaseAttempt',
    'incInterfaceAllocation',
    'addIPAllocation',
    'addIPRelease',
    'setAllocatedIPs',
    'setAvailableInterfaces',
    'setInterfaceCandidates',
    'setEmptyInterfaceSlots',
    'setAvailableIPsPerSubnet',
    'setNodes',
    'incResyncCount',
    'observeBackgroundSync',
    'setIPAvailable',
    'setIPUsed',
    'setIPNeeded',
    'deleteNode',
    'poolMaintainerTrigger',
    'k8sSyncTrigger',
    'resyncTrigger',
  ] as const satisfies readonly (keyof MetricsAPI)[],
  TriggerObserver: ['queueEvent', 'postRun'] as const satisfies readonly (keyof TriggerObserver)[],
  IPAM: [
    'allocateIP',
    'allocateIPString',
    'allocateIPWithoutSyncUpstream',
    'allocateNext',
    'allocateNextFamily',
    'allocateNextFamilyWithoutSyncUpstream',
    'allocateNextWithExpiration',
    'startExpirationTimer',
    'stopExpirationTimer',
    'excludeIP',
    'blacklistIP',
    'blacklistIPNet',
    'reserveLocalRoutes',
    'releaseIP',
    'releaseIPString',
    'dump',
    'debugStatus',
    'getVPCCIDRs',
    'ipv4Allocator',
    'ipv6Allocator',
  ] as const satisfies readonly (keyof IPAM)[],
  Allocator: [
    'allocate',
    'allocateWithoutSyncUpstream',
    'release',
    'allocateNext',
    'allocateNextWithoutSyncUpstream',
    'dump',
    'restoreFinished',
    'capacity',
  ] as const satisfies readonly (keyof Allocator)[],
  AllocationResult: [
    'ip',
    'ipPoolName',
    'cidrs',
    'primaryMAC',
    'gatewayIP',
    'expirationUUID',
    'interfaceNumber',
  ] as const satisfies readonly (keyof AllocationResult)[],
  Configuration: [
    'ipv4Enabled',
    'ipv6Enabled',
    'ipamMode',
    'healthCheckingEnabled',
    'unreachableRoutesEnabled',
    'setIPv4NativeRoutingCIDR',
    'getIPv4NativeRoutingCIDR',
  ] as const satisfies readonly (keyof Configuration)[],
  Owner: ['updateCiliumNodeResource', 'localAllocCIDRsUpdated'] as const satisfies readonly (keyof Owner)[],
  K8sEventRegister: [
    'k8sEventReceived',
    'k8sEventProcessed',
    'registerCiliumNodeSubscriber',
  ] as const satisfies readonly (keyof K8sEventRegister)[],
  MTUConfiguration: ['getDeviceMTU'] as const satisfies readonly (keyof MTUConfiguration)[],
  IPNotAvailableInPoolError: ['message', 'matches'] as const satisfies readonly (keyof IPNotAvailableInPoolError)[],
}

/** Names of the reference's package that are no members: values by themselves, types by a name that the compiler must know. */
const PACKAGE_VALUES = {
  createIPAM,
  IPAM,
  ExclusionList,
  IPv4,
  IPv6,
  deriveFamily,
  POOL_DEFAULT,
  poolOrDefault,
  familyDisabledError,
  IPNotAvailableInPoolError,
}
interface PackageTypes {
  readonly Allocator: Allocator
  readonly AllocationResult: AllocationResult
  readonly AllocationError: AllocationError
  readonly Configuration: Configuration
  readonly Owner: Owner
  readonly K8sEventRegister: K8sEventRegister
  readonly MTUConfiguration: MTUConfiguration
  readonly OwnedNetwork: OwnedNetwork
  readonly Family: Family
  readonly Pool: Pool
}
const PACKAGE_TYPES = [
  'Allocator',
  'AllocationResult',
  'AllocationError',
  'Configuration',
  'Owner',
  'K8sEventRegister',
  'MTUConfiguration',
  'OwnedNetwork',
  'Family',
  'Pool',
] as const satisfies readonly (keyof PackageTypes)[]
const PACKAGE_NAMES = [...Object.keys(PACKAGE_VALUES), ...PACKAGE_TYPES].sort()

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const document = readFileSync(join(root, 'docs/compatibility.md'), 'utf8')

/** Rows of the name table: | `Reference.Name` | `Here.name` | `file` | */
const rows = [...document.matchAll(/^\| `(\w+)\.(\w+)`[^|]*\| `(\w+)\.(\w+)` \| `([^`]+)` \|/gm)].map((match) => ({
  reference: `${match[1]}.${match[2]}`,
  owner: match[3] ?? '',
  member: match[4] ?? '',
  file: match[5] ?? '',
}))

/** Rows of names that are no members: | `ipam.Name` | `name` | `file` | */
const packageRows = [...document.matchAll(/^\| `(ipam\.\w+)` \| `(\w+)` \| `([^`]+)` \|/gm)].map(
  ([, reference = '', name = '', file = '']) => ({ reference, name, file }),
)

describe('docs/compatibility.md', () => {
  test('names a home for every name of the node package, and for no other', () => {
    expect([...new Set(packageRows.map(({ name }) => name))].sort()).toEqual(PACKAGE_NAMES)
  })

  test.each(packageRows)('$reference is exported by $file', ({ name, file }) => {
    const text = readFileSync(join(root, file), 'utf8')
    expect(text).toMatch(new RegExp(`^export (async )?(function|const|class|interface|type) ${name}\\b`, 'm'))
  })

  test('names a home for every member of the reference', () => {
    const listed = new Set(rows.map((row) => `${row.owner}.${row.member}`))
    const missing = Object.entries(TYPED_MEMBERS)
      .flatMap(([owner, members]) => members.map((member) => `${owner}.${member}`))
      .filter((name) => !listed.has(name))
    expect(missing).toEqual([])
  })

  test('lists nothing that the compiler does not check', () => {
    const typed: Readonly<Record<string, readonly string[]>> = TYPED_MEMBERS
    expect(rows.filter((row) => typed[row.owner]?.includes(row.member) !== true)).toEqual([])
  })

  test.each(rows)('$reference lives in $file', ({ owner, member, file }) => {
    const path = join(root, file)
    expect(existsSync(path), `${file} exists`).toBe(true)
    const text = readFileSync(path, 'utf8')
    expect(text).toMatch(new RegExp(`\\b(interface|class|type) ${owner}\\b`))
    expect(text).toMatch(new RegExp(`\\b${member}\\b`))
  })
})
