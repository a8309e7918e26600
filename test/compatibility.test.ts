import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
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
}

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const document = readFileSync(join(root, 'docs/compatibility.md'), 'utf8')

/** Rows of the name table: | `Reference.Name` | `Here.name` | `file` | */
const rows = [...document.matchAll(/^\| `(\w+)\.(\w+)`[^|]*\| `(\w+)\.(\w+)` \| `([^`]+)` \|/gm)].map((match) => ({
  reference: `${match[1]}.${match[2]}`,
  owner: match[3] ?? '',
  member: match[4] ?? '',
  file: match[5] ?? '',
}))

describe('docs/compatibility.md', () => {
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
