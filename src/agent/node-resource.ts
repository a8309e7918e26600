import type { JSONObject, JSONValue } from '../ipam/types.ts'
import { isObject } from './read-json.ts'

/** The machine of a node, as far as its operator must know it. */
export type Machine =
  | {
      readonly cloud: 'aws'
      readonly instanceID: string
      readonly instanceType: string
      readonly vpcID: string
      readonly availabilityZone: string
      /** Of the first interface. */
      readonly subnetID: string
      /** Interfaces with a lower device index are left alone. */
      readonly firstInterfaceIndex: number
    }
  | {
      readonly cloud: 'azure'
      /** ARM ID of the machine, lower-cased. */
      readonly instanceID: string
    }
  /** CIDRs of the cluster's own, which no machine matters for. */
  | { readonly cloud: 'none' }

/** What an agent knows of its node before the node has a resource. */
export interface OwnNodeFacts {
  readonly name: string
  /** Of the Kubernetes node, which owns the resource: when it goes, the resource goes. */
  readonly nodeUID: string
  readonly labels: Readonly<Record<string, string>>
  readonly addresses: readonly { readonly type: string; readonly ip: string }[]
  readonly machine: Machine
  /** `spec.ipam` as it is configured: `min-allocate`, `pre-allocate`, …; what is absent stays as it is. */
  readonly ipam?: JSONObject
}

/**
 * The resource that an agent creates for its own node.
 *
 * @source cilium pkg/nodediscovery/nodediscovery.go, mutateNodeResource
 */
export function nodeResource(facts: OwnNodeFacts): JSONObject {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNode',
    metadata: { name: facts.name, labels: facts.labels, ownerReferences: [ownerOf(facts)] },
    spec: specOf(facts),
  }
}

/**
 * What must be merged into the resource of a node that has one already. What others have written stays: labels, further addresses, and
 * settings of the interfaces.
 *
 * @returns undefined when it says all of this
 */
export function nodeResourcePatch(seen: JSONObject, facts: OwnNodeFacts): JSONObject | undefined {
  const metadata = isObject(seen['metadata']) ? seen['metadata'] : {}
  const owners = metadata['ownerReferences']
  const hasOwner = Array.isArray(owners) && owners.length > 0
  const wanted = {
    metadata: { labels: facts.labels, ...(!hasOwner && { ownerReferences: [ownerOf(facts)] }) },
    spec: { ...specOf(facts), addresses: mergedAddresses(seen, facts) },
  }
  const change = differences(seen, wanted)
  if (change === undefined) return undefined
  const changed = isObject(change['metadata']) ? change['metadata'] : {}
  return { ...change, metadata: { ...changed, resourceVersion: metadata['resourceVersion'] } }
}

function specOf({ addresses, machine, ipam = {} }: OwnNodeFacts): JSONObject {
  const spec = { addresses: addresses.map(({ type, ip }) => ({ type, ip })), ipam }
  switch (machine.cloud) {
    case 'aws':
      return {
        ...spec,
        'instance-id': machine.instanceID,
        eni: {
          'instance-type': machine.instanceType,
          'vpc-id': machine.vpcID,
          'availability-zone': machine.availabilityZone,
          'node-subnet-id': machine.subnetID,
          'first-interface-index': machine.firstInterfaceIndex,
        },
      }
    case 'azure':
      return { ...spec, 'instance-id': machine.instanceID, azure: {} }
    case 'none':
      return spec
    default:
      return machine satisfies never
  }
}

function ownerOf({ name, nodeUID }: OwnNodeFacts): JSONObject {
  return { apiVersion: 'v1', kind: 'Node', name, uid: nodeUID }
}

/** Those that are there, then those that are missing. */
function mergedAddresses(seen: JSONObject, { addresses }: OwnNodeFacts): readonly JSONValue[] {
  const spec = isObject(seen['spec']) ? seen['spec'] : {}
  const known = Array.isArray(spec['addresses']) ? (spec['addresses'] as readonly JSONValue[]) : []
  const missing = addresses.filter(({ ip }) => !known.some((entry) => isObject(entry) && entry['ip'] === ip))
  return [...known, ...missing.map(({ type, ip }) => ({ type, ip }))]
}

/** The members of `wanted` that `seen` has not, as a merge patch; undefined when it has all. */
function differences(seen: JSONObject, wanted: JSONObject): JSONObject | undefined {
  const changes = Object.entries(wanted).flatMap(([key, value]): [string, JSONValue][] => {
    const before = seen[key]
    if (isObject(value)) {
      const change = differences(isObject(before) ? before : {}, value)
      return change === undefined ? [] : [[key, change]]
    }
    return value === undefined || JSON.stringify(before) === JSON.stringify(value) ? [] : [[key, value]]
  })
  return changes.length === 0 ? undefined : Object.fromEntries(changes)
}
