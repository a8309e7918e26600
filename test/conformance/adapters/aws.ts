import { classify } from '../../../providers/aws/errors.ts'
import {
  compareInterfaces,
  interfacesAndIPs,
  interfaceView,
  isPrefixDelegated,
  maximumAllocatableIPv4,
  minimumAllocatableIPv4,
  prepareIPAllocation,
} from '../../../providers/aws/plan.ts'
import {
  chooseSecurityGroups,
  chooseSubnet,
  findSecurityGroups,
  findSubnetByIDs,
  findSubnetByTags,
  findSubnetInSameRouteTable,
  isInSameRouteTable,
} from '../../../providers/aws/plan-placement.ts'
import { attachedCIDRs, prepareCIDRRelease, prepareIPRelease } from '../../../providers/aws/plan-release.ts'
import type { AllocationAction, JSONObject, ReleaseAction, Tags } from '../../../src/ipam/types.ts'
import { usedIPsWithPrefixes } from '../../../src/ipam/usage.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { callVector } from './aws-calls.ts'
import { adapt } from './core-arithmetic.ts'
import { awsClientAdapters } from './aws-client.ts'
import { awsFlowAdapters } from './aws-flow.ts'
import { awsGCAdapters } from './aws-gc.ts'
import {
  contextOf,
  driven,
  eniOf,
  errorMembers,
  limitsOf,
  routeTablesOf,
  scriptedNode,
  securityGroupsOf,
  specOf,
  subnetOf,
  subnetsOf,
  type InterfaceVector,
  type LimitsVector,
  type ResponseVector,
  type RouteTableVector,
  type SubnetVector,
} from './aws-node.ts'
import { awsSimulatorAdapters } from './aws-simulator.ts'

interface NodeInput {
  readonly limits: LimitsVector | null
  readonly eni?: JSONObject
  readonly prefixDelegationFlag?: boolean
  readonly enis?: readonly InterfaceVector[]
}

function factsOf(input: NodeInput) {
  return {
    limits: limitsOf(input.limits),
    spec: specOf(input.eni, input.limits),
    prefixDelegation: input.prefixDelegationFlag ?? false,
    interfaces: (input.enis ?? []).map(eniOf),
  }
}

function actionOf(input: {
  readonly interfaceId?: string
  readonly availableForAllocation?: number
  readonly maxIPv4ToAllocate?: number
  readonly maxIPv6PrefixesToAllocate?: number
}): AllocationAction {
  return {
    interfaceID: input.interfaceId ?? '',
    poolID: '',
    ipv4: {
      availableForAllocation: input.availableForAllocation ?? 0,
      maxIPsToAllocate: input.maxIPv4ToAllocate ?? 0,
      interfaceCandidates: 0,
    },
    ipv6: { maxPrefixesToAllocate: input.maxIPv6PrefixesToAllocate ?? 0 },
    emptyInterfaceSlots: 1,
  }
}

function releaseOf(parts: Partial<ReleaseAction> & { readonly interfaceID: string }): ReleaseAction {
  return { poolID: '', ipsToRelease: [], ipPrefixesToRelease: [], cidrsToRelease: [], ...parts }
}

const CALLS_ONLY_AS_NAMED = { partial: ['calls.*'] }

const planAdapters: AdapterRegistry = {
  'node.maxAllocatable': adapt<NodeInput>((input) => {
    const facts = factsOf(input)
    return {
      value: maximumAllocatableIPv4({
        limits: facts.limits,
        firstInterfaceIndex: facts.spec.firstInterfaceIndex,
        prefixDelegated: isPrefixDelegated(facts),
      }),
    }
  }),
  'node.minAllocatable': adapt<NodeInput>((input) => {
    const { limits, spec } = factsOf(input)
    return { value: minimumAllocatableIPv4({ limits, firstInterfaceIndex: spec.firstInterfaceIndex }) }
  }),
  'node.isPrefixDelegated': adapt<NodeInput>((input) => ({ value: isPrefixDelegated(factsOf(input)) })),
  'node.capacity': adapt<NodeInput>((input, { testCase }) => {
    const facts = factsOf(input)
    const { limits } = facts
    if (limits === undefined) return errorMembers(new Error('limits not found'), testCase.expect)
    const { available, stats } = interfacesAndIPs({ ...facts, limits })
    return {
      nodeCapacity: stats.nodeCapacity,
      remainingAvailableInterfaces: stats.remainingAvailableInterfaceCount,
      availableAddresses: [...available.keys()],
      ipv6Prefixes: stats.nodeIPv6Prefixes,
      assignedStaticIP: stats.assignedStaticIP,
    }
  }),
  'node.prepareAllocation': adapt<NodeInput & { readonly subnetsAvailable: Readonly<Record<string, number>> }>(
    (input, { testCase }) => {
      const facts = factsOf(input)
      const { limits } = facts
      if (limits === undefined) return errorMembers(new Error('unable to determine limits'), testCase.expect)
      const subnets = new Map(
        Object.entries(input.subnetsAvailable).map(([id, availableAddresses]) => [id, { availableAddresses }]),
      )
      const interfaces = facts.interfaces.toSorted(compareInterfaces)
      const action = prepareIPAllocation({ ...facts, limits, interfaces }, subnets)
      return {
        interfaceId: action.interfaceID,
        poolId: action.poolID,
        availableForAllocation: action.ipv4.availableForAllocation,
        interfaceCandidates: action.ipv4.interfaceCandidates,
        emptyInterfaceSlots: action.emptyInterfaceSlots,
      }
    },
  ),
  'node.prepareRelease': {
    comparison: { ordered: ['ips'] },
    run: adapt<{
      readonly eni?: JSONObject
      readonly enis: readonly InterfaceVector[]
      readonly used: readonly string[] | Readonly<Record<string, unknown>>
      readonly excess: number
      readonly prefixDelegationFlag?: boolean
    }>(({ eni, enis, used, excess, prefixDelegationFlag }) => {
      const action = prepareIPRelease(
        {
          spec: specOf(eni),
          interfaces: enis.map(eniOf),
          used: new Set(Array.isArray(used) ? (used as string[]) : Object.keys(used)),
          prefersWholeBlocks: prefixDelegationFlag ?? false,
        },
        excess,
      )
      return {
        interfaceId: action.interfaceID,
        poolId: action.poolID,
        ips: action.ipsToRelease,
        prefixes: action.ipPrefixesToRelease,
      }
    }),
  },
  'node.prepareCidrRelease': {
    comparison: { unordered: ['actions'] },
    run: adapt<{
      readonly eni?: JSONObject
      readonly enis: readonly InterfaceVector[]
      readonly cidrs: readonly string[]
    }>(({ eni, enis, cidrs }) => ({
      actions: prepareCIDRRelease({ spec: specOf(eni), interfaces: enis.map(eniOf) }, cidrs).map((action) => ({
        interfaceId: action.interfaceID,
        poolId: action.poolID,
        cidrs: action.cidrsToRelease,
      })),
    })),
  },
  'node.attachedCidrs': adapt<{ readonly enis: readonly InterfaceVector[] }>(({ enis }) => ({
    cidrs: attachedCIDRs(enis.map(eniOf)),
  })),
  'node.usedWithPrefixes': adapt<{
    readonly statusEnis: Readonly<Record<string, { readonly prefixes?: readonly string[] | null }>>
    readonly used: Readonly<Record<string, string>>
  }>(({ statusEnis, used }) => ({
    value: usedIPsWithPrefixes(
      new Map(Object.entries(statusEnis).map(([id, { prefixes }]) => [id, prefixes ?? []])),
      new Map(Object.entries(used).map(([address, resource]) => [address, { resource }])),
    ),
  })),
  'node.interfaceView': adapt<{ readonly usePrimaryAddress: boolean | null; readonly cacheEni: InterfaceVector }>(
    ({ usePrimaryAddress, cacheEni }) => {
      const eni = eniOf(cacheEni)
      return {
        addresses: interfaceView(eni, usePrimaryAddress ?? false).addresses,
        cacheAddressesAfter: eni.addresses,
      }
    },
  ),
  'node.findSubnet': adapt<{
    readonly limits: LimitsVector
    readonly eni: JSONObject
    readonly subnets: readonly SubnetVector[]
    readonly routeTables?: readonly RouteTableVector[]
  }>(({ limits, eni, subnets, routeTables }) => {
    const infrastructure = { subnets: subnetsOf(subnets), routeTables: routeTablesOf(routeTables) }
    return { subnet: chooseSubnet(infrastructure, specOf(eni), limits)?.subnet.id }
  }),
  'node.securityGroups': adapt<{
    readonly eni: JSONObject
    readonly securityGroups: Parameters<typeof securityGroupsOf>[0]
    readonly instanceEnis: readonly InterfaceVector[]
  }>(({ eni, securityGroups, instanceEnis }, { testCase }) => {
    const choice = chooseSecurityGroups(securityGroupsOf(securityGroups), specOf(eni), instanceEnis.map(eniOf))
    return choice.kind === 'found'
      ? { ids: choice.groupIDs, error: null }
      : errorMembers(new Error('failed to get security group ids'), testCase.expect)
  }),
}

interface PlaceInput {
  readonly vpc: string
  readonly az: string
  readonly subnets: readonly SubnetVector[]
}

const managerAdapters: AdapterRegistry = {
  'manager.findSubnetByIds': adapt<PlaceInput & { readonly ids: readonly string[] }>(({ subnets, vpc, az, ids }) => ({
    subnet: findSubnetByIDs(subnetsOf(subnets), { vpcID: vpc, availabilityZone: az }, ids)?.id,
  })),
  'manager.findSubnetByTags': adapt<PlaceInput & { readonly tags: Tags }>(({ subnets, vpc, az, tags }) => ({
    subnet: findSubnetByTags(subnetsOf(subnets), { vpcID: vpc, availabilityZone: az }, tags)?.id,
  })),
  'manager.findSecurityGroups': {
    comparison: { unordered: ['ids'] },
    run: adapt<{ readonly securityGroups: Parameters<typeof securityGroupsOf>[0]; vpc: string; tags: Tags }>(
      ({ securityGroups, vpc, tags }) => ({ ids: findSecurityGroups(securityGroupsOf(securityGroups), vpc, tags) }),
    ),
  },
  'manager.findSubnetSameRouteTable': adapt<
    PlaceInput & { readonly routeTables: readonly RouteTableVector[]; readonly nodeSubnet: string }
  >(({ routeTables, subnets, vpc, az, nodeSubnet }) => ({
    subnet: findSubnetInSameRouteTable(
      {
        subnets: new Map(subnets.map((subnet) => [subnet.id, subnetOf(subnet)])),
        routeTables: routeTablesOf(routeTables),
      },
      { vpcID: vpc, availabilityZone: az },
      nodeSubnet,
    )?.id,
  })),
  'manager.sameRouteTable': adapt<{
    readonly routeTables: readonly RouteTableVector[]
    readonly vpc: string
    readonly nodeSubnet: string
    readonly subnet: string
  }>(({ routeTables, vpc, nodeSubnet, subnet }) => ({
    value: isInSameRouteTable(routeTablesOf(routeTables), vpc, nodeSubnet, subnet),
  })),
}

const nodeAdapters: AdapterRegistry = {
  'node.createInterface': {
    comparison: CALLS_ONLY_AS_NAMED,
    run: adapt<
      NodeInput & {
        readonly instanceId: string
        readonly subnets: readonly SubnetVector[]
        readonly routeTables?: readonly RouteTableVector[]
        readonly maxIPv4ToAllocate: number
        readonly maxIPv6PrefixesToAllocate: number
        readonly responses: readonly (ResponseVector | null)[]
        readonly eniTags?: Tags
      }
    >(async (input, { testCase }) => {
      const world = await scriptedNode({
        instanceID: input.instanceId,
        eni: input.eni ?? {},
        limits: input.limits,
        enis: input.enis ?? [],
        subnets: input.subnets,
        ...(input.routeTables !== undefined && { routeTables: input.routeTables }),
        responses: input.responses,
        config: { prefixDelegation: input.prefixDelegationFlag ?? false, eniTags: input.eniTags ?? {} },
      })
      const outcome = await driven(world.node.createInterface!(actionOf(input), contextOf()), world.clock)
      await world.settle()
      const calls = world.ec2.calls.map(callVector)
      if (outcome.kind === 'created')
        return {
          calls,
          // The reference counts what it asked for; prefixes bring whole blocks.
          toAllocate: Math.min(outcome.addressCount, input.maxIPv4ToAllocate),
          status: '',
          error: null,
          poolId: outcome.poolID,
          nodeRunning: true,
        }
      const { condition: status, poolID: poolId, error, isInstanceRunning: nodeRunning } = outcome
      return { calls, toAllocate: 0, status, poolId, nodeRunning, ...errorMembers(error, testCase.expect) }
    }),
  },
  'node.allocateIPs': {
    comparison: CALLS_ONLY_AS_NAMED,
    run: adapt<
      NodeInput & {
        readonly interfaceId: string
        readonly availableForAllocation: number
        readonly maxIPv6PrefixesToAllocate: number
        readonly responses: readonly (ResponseVector | null)[]
      }
    >(async (input, { testCase }) => {
      const world = await scriptedNode({
        instanceID: 'i-1',
        eni: input.eni ?? {},
        limits: input.limits,
        enis: input.enis ?? [],
        responses: input.responses,
        config: { prefixDelegation: input.prefixDelegationFlag ?? false },
      })
      const outcome = await driven(world.node.allocateIPs(actionOf(input), contextOf()), world.clock)
      return {
        calls: world.ec2.calls.map(callVector),
        cacheAddressesAfter: world.addressesOf(input.interfaceId),
        ...errorMembers(outcome.kind === 'failed' ? outcome.error : undefined, testCase.expect),
      }
    }),
  },
  'node.releaseIPs': {
    comparison: CALLS_ONLY_AS_NAMED,
    run: adapt<{
      readonly interfaceId: string
      readonly prefixes?: readonly string[]
      readonly ips: readonly string[]
      readonly responses?: readonly (ResponseVector | null)[]
    }>(async ({ interfaceId, prefixes = [], ips, responses = [] }, { testCase }) => {
      const world = await scriptedNode({
        instanceID: 'i-1',
        eni: {},
        limits: null,
        enis: [{ id: interfaceId, number: 0, ip: '192.0.2.1', addresses: ips, prefixes }],
        responses,
      })
      const action = releaseOf({ interfaceID: interfaceId, ipsToRelease: ips, ipPrefixesToRelease: prefixes })
      let failure: Error | undefined
      let before = world.addressesOf(interfaceId)
      try {
        await world.node.prefixes?.releaseIPPrefixes(action, contextOf())
        // What goes with the prefixes leaves the cache with them; the file asks what the address call removes.
        before = world.addressesOf(interfaceId)
        await world.node.releaseIPs(action, contextOf())
      } catch (error) {
        failure = error as Error
      }
      const after = new Set(world.addressesOf(interfaceId))
      return {
        calls: world.ec2.calls.map(callVector),
        cacheRemoved: before.filter((address) => !after.has(address)),
        ...errorMembers(failure, testCase.expect),
      }
    }),
  },
  'node.releaseCidrs': {
    comparison: CALLS_ONLY_AS_NAMED,
    run: adapt<{
      readonly interfaceId: string
      readonly cidrs: readonly string[]
      readonly responses: readonly (ResponseVector | null)[]
    }>(async ({ interfaceId, cidrs, responses }, { testCase }) => {
      const world = await scriptedNode({
        instanceID: 'i-1',
        eni: {},
        limits: null,
        enis: [{ id: interfaceId, number: 0, ip: '192.0.2.1' }],
        responses,
      })
      const action = releaseOf({ interfaceID: interfaceId, cidrsToRelease: cidrs })
      const outcome = await world.node.cidrs?.releaseCIDRs(action, contextOf())
      return {
        calls: world.ec2.calls.map(callVector),
        released: outcome?.released,
        ...errorMembers(outcome?.error, testCase.expect),
      }
    }),
  },
  'error.classify': adapt<{ readonly code: string; readonly message: string }>(({ code, message }) => {
    const { reason } = classify(code, message, 400)
    return {
      prefixExhausted: reason === 'prefixExhausted',
      indexConflict: reason === 'indexConflict',
      instanceNotRunning: reason === 'instanceNotRunning',
    }
  }),
}

/** All AWS kinds. */
export const awsAdapters: AdapterRegistry = {
  ...planAdapters,
  ...managerAdapters,
  ...nodeAdapters,
  ...awsClientAdapters,
  ...awsSimulatorAdapters,
  ...awsFlowAdapters,
  ...awsGCAdapters,
}
