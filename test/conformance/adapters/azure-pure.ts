import { errorClassOf, errorInBody, retryAfterMs } from '../../../providers/azure/errors.ts'
import { parseInterface } from '../../../providers/azure/parse-interface.ts'
import { parseSubnet } from '../../../providers/azure/parse-subnet.ts'
import { attachedCIDRs, prepareCIDRRelease } from '../../../providers/azure/plan-release.ts'
import {
  interfacesAndIPs,
  maximumAllocatableIPv4,
  MINIMUM_ALLOCATABLE_IPV4,
  NOTHING_ATTACHED,
  prepareIPAllocation,
} from '../../../providers/azure/plan.ts'
import { instanceIDOf, keyOf, parseNICID, parseSubnetID } from '../../../providers/azure/resource-id.ts'
import { decodeAzureStatus, encodeAzureStatus, encodeInterface } from '../../../providers/azure/status-codec.ts'
import type { NIC } from '../../../providers/azure/types.ts'
import type { IPAMProfile, JSONObject } from '../../../src/ipam/types.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { adapt } from './core-arithmetic.ts'

interface NodeVector {
  readonly instanceId: string
  readonly interfaceName: string
}

interface PlanInput {
  readonly node: NodeVector
  readonly usePrimary?: boolean
  /** In the form of `status.azure.interfaces`; null: the instance is not in the cache. */
  readonly interfaces: readonly JSONObject[] | null
}

/** Interfaces as the inventory holds them, by ID. */
export function nicsOf(interfaces: readonly JSONObject[], usePrimary = false): readonly NIC[] {
  const nics = [...decodeAzureStatus({ interfaces }).values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  // The files list what pods may use: an exposed primary address that is not listed has no slot of its own.
  return usePrimary ? nics.map((nic) => (nic.primaryState === '' ? { ...nic, ip: '' } : nic)) : nics
}

function factsOf({ node, usePrimary = false, interfaces }: PlanInput, profile: IPAMProfile) {
  return {
    spec: { interfaceName: node.interfaceName },
    usePrimaryAddress: usePrimary,
    prefixes: false,
    profile,
    interfaces: nicsOf(interfaces ?? [], usePrimary),
  }
}

/** Those of the paths (`a.b`, `list[].member`) that lead to nothing in a document. */
function absentPaths(document: JSONObject, paths: readonly string[]): readonly string[] {
  const leads = (value: unknown, [step, ...rest]: readonly string[]): boolean => {
    if (step === undefined) return value !== undefined && value !== null && value !== ''
    const member = (value as Readonly<Record<string, unknown>> | undefined)?.[step.replace('[]', '')]
    return step.endsWith('[]') && Array.isArray(member) ? member.some((item) => leads(item, rest)) : leads(member, rest)
  }
  return paths.filter((path) => !leads(document, path.split('.')))
}

const INSTANCE_UNKNOWN = { error: { reason: 'instance-unknown' } }

/** Kinds whose code is pure. */
export const azurePureAdapters: AdapterRegistry = {
  'provider-id': adapt<{ readonly providerId: string }>(({ providerId }) => ({ instanceId: instanceIDOf(providerId) })),
  'parse-nic-id': adapt<{ readonly id: string }>(({ id }) => {
    const { resourceGroup, scaleSetName, vmID } = parseNICID(id)
    return { resourceGroup, vmssName: scaleSetName, vmId: vmID }
  }),
  'parse-subnet-id': adapt<{ readonly id: string }>(({ id }) => {
    const parsed = parseSubnetID(id)
    return parsed === undefined ? { error: true } : { ...parsed, error: false }
  }),
  'parse-interface': {
    comparison: { partial: ['interface'] },
    run: adapt<{
      readonly nic: JSONObject
      readonly subnets?: Readonly<Record<string, { readonly cidr: string }>>
      readonly usePrimary?: boolean
    }>(({ nic, subnets = {}, usePrimary = false }, { testCase }) => {
      const parsed = parseInterface(nic)
      if (parsed === undefined) return { error: true }
      const cidrs = new Map(Object.entries(subnets).map(([id, { cidr }]) => [keyOf(id), cidr]))
      const { subnet } = parsed.nic
      const iface = encodeInterface(
        { ...parsed.nic, subnet: { id: subnet.id, cidr: cidrs.get(keyOf(subnet.id)) ?? '' } },
        { usePrimaryAddress: usePrimary, withMirrors: testCase.profile !== 'main' },
      )
      const { absent = [] } = (testCase.expect ?? {}) as { readonly absent?: readonly string[] }
      return { instanceId: parsed.instanceID, interface: iface, absent: absentPaths(iface, absent) }
    }),
  },
  'parse-subnet': adapt<{ readonly subnet: JSONObject }>(({ subnet }, { profile }) => {
    const parsed = parseSubnet(subnet, profile)
    if (parsed === undefined) return { error: true }
    const { id, cidr, availableAddresses, virtualNetworkID } = parsed
    return { id, cidr, availableAddresses, virtualNetworkId: virtualNetworkID }
  }),
  'prepare-ip-allocation': {
    comparison: { partial: ['action'] },
    run: adapt<PlanInput & { readonly subnets: Readonly<Record<string, { readonly availableAddresses: number }>> }>(
      (input, { profile }) => {
        if (input.interfaces === null) return INSTANCE_UNKNOWN
        const subnets = new Map(
          Object.entries(input.subnets).map(([id, { availableAddresses }]) => [keyOf(id), { id, availableAddresses }]),
        )
        const action = prepareIPAllocation(factsOf(input, profile), subnets)
        return {
          action: {
            interfaceCandidates: action.ipv4.interfaceCandidates,
            emptyInterfaceSlots: action.emptyInterfaceSlots,
            interfaceId: action.interfaceID,
            poolId: action.poolID,
            availableForAllocation: action.ipv4.availableForAllocation,
          },
        }
      },
    ),
  },
  'resync-node': {
    comparison: { partial: ['stats', 'available.*'] },
    run: adapt<PlanInput>((input, { profile }) => {
      if (input.interfaces === null) return { ...INSTANCE_UNKNOWN, available: null }
      const isUnknownNode = input.node.instanceId === ''
      const { available, stats } = isUnknownNode ? NOTHING_ATTACHED : interfacesAndIPs(factsOf(input, profile))
      return { available: isUnknownNode ? null : Object.fromEntries(available), stats }
    }),
  },
  'cidr-release-plan': {
    comparison: { partial: ['actions.*'] },
    run: adapt<PlanInput & { readonly released: readonly string[] }>(({ node, interfaces, released }) => {
      const nics = node.instanceId === '' ? [] : nicsOf(interfaces ?? [])
      const actions = prepareCIDRRelease({ spec: { interfaceName: node.interfaceName }, interfaces: nics }, released)
      return {
        attached: attachedCIDRs(nics),
        actions: Object.fromEntries(
          actions.map(({ interfaceID, poolID, cidrsToRelease }) => [
            interfaceID,
            { interfaceId: interfaceID, poolId: poolID, cidrsToRelease },
          ]),
        ),
      }
    }),
  },
  'populate-status': {
    comparison: { ordered: ['interfaceOrder', 'addressOrder'] },
    run: adapt<{ readonly interfaces: readonly JSONObject[] }>(({ interfaces }) => {
      const view = { usePrimaryAddress: false, withMirrors: true }
      const listed = encodeAzureStatus(nicsOf(interfaces), view)['interfaces'] as readonly {
        readonly id: string
        readonly addresses?: readonly { readonly ip: string }[]
      }[]
      const orders = listed.map(({ addresses = [] }) => addresses.map(({ ip }) => ip))
      const isSame = orders.every((order) => order.join() === orders[0]?.join())
      return { interfaceOrder: listed.map(({ id }) => id), addressOrder: isSame ? orders[0] : orders }
    }),
  },
  'error-class': adapt<{
    readonly status: number
    readonly body: JSONObject | null
    readonly headers?: Readonly<Record<string, string>>
  }>(({ status, body, headers = {} }) => {
    // A status resource is answered with 200 also when the operation failed.
    const refused = status < 400 ? undefined : status
    const { code, message } = errorInBody(body === null ? '' : JSON.stringify(body), status)
    const names = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    const waitMs = retryAfterMs((name) => names.get(name), 0)
    return {
      class: errorClassOf(refused, code, message),
      code,
      waitSeconds: waitMs === undefined ? null : waitMs / 1000,
    }
  }),
  limits: () => ({
    maximumAllocatable: maximumAllocatableIPv4(),
    maximumAllocatableIPv4: maximumAllocatableIPv4(),
    minimumAllocatable: MINIMUM_ALLOCATABLE_IPV4,
    minimumAllocatableIPv4: MINIMUM_ALLOCATABLE_IPV4,
    isPrefixDelegated: false,
    prefixDelegated: false,
  }),
}
