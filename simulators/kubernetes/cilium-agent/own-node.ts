import type { JSONObject } from '../json.ts'

export const CILIUM_NODES_PATH = '/apis/cilium.io/v2/ciliumnodes'
export const NODES_PATH = '/api/v1/nodes'

/** What an agent learns about its node from the instance metadata and from Kubernetes before it registers. */
export interface NodeFacts {
  /** Name of the Kubernetes node and of its CiliumNode. */
  readonly name: string
  /** Whose machine it is; AWS by default. */
  readonly cloud?: 'aws' | 'azure'
  /** On Azure the machine's ARM ID, lower-cased. */
  readonly instanceID: string
  readonly instanceType: string
  readonly vpcID: string
  readonly availabilityZone: string
  /** Subnet of the instance's first interface. */
  readonly subnetID: string
  /** Address of the node itself: the first interface's primary one. */
  readonly internalIP: string
  /** Interfaces with a lower device index are left alone (default 0, as Cilium's). */
  readonly firstInterfaceIndex?: number
  /** `spec.ipam` of the agent's flags: `pre-allocate`, `min-allocate`, …; absent ones stay absent. */
  readonly ipam?: JSONObject
}

/** The Kubernetes node as a kubelet registers it. @param maxPods `status.capacity.pods` (count) */
export function nodeManifest(facts: NodeFacts, maxPods: number): JSONObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: facts.name,
      labels: {
        'kubernetes.io/hostname': facts.name,
        'node.kubernetes.io/instance-type': facts.instanceType,
        'topology.kubernetes.io/zone': facts.availabilityZone,
      },
    },
    spec: { providerID: providerID(facts) },
    status: {
      addresses: [{ type: 'InternalIP', address: facts.internalIP }],
      capacity: { pods: String(maxPods) },
      allocatable: { pods: String(maxPods) },
      conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
    },
  }
}

/**
 * The resource that an agent creates for its own node.
 *
 * @param nodeUID uid of the Kubernetes node that owns it
 * @source cilium pkg/nodediscovery/nodediscovery.go, mutateNodeResource
 */
export function ciliumNodeManifest(facts: NodeFacts, nodeUID: string): JSONObject {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNode',
    metadata: {
      name: facts.name,
      labels: {
        'kubernetes.io/hostname': facts.name,
        'node.kubernetes.io/instance-type': facts.instanceType,
        'topology.kubernetes.io/zone': facts.availabilityZone,
      },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: facts.name, uid: nodeUID }],
    },
    spec: {
      'instance-id': facts.instanceID,
      addresses: [{ type: 'InternalIP', ip: facts.internalIP }],
      ...cloudSection(facts),
      ipam: facts.ipam ?? {},
    },
  }
}

function providerID({ cloud, availabilityZone, instanceID }: NodeFacts): string {
  return cloud === 'azure' ? `azure://${instanceID}` : `aws:///${availabilityZone}/${instanceID}`
}

/** What the agent of this cloud writes about the machine. Azure's has but the interface name, and that only when it is configured. */
function cloudSection(facts: NodeFacts): JSONObject {
  if (facts.cloud === 'azure') return { azure: {} }
  return {
    eni: {
      'instance-type': facts.instanceType,
      'vpc-id': facts.vpcID,
      'availability-zone': facts.availabilityZone,
      'node-subnet-id': facts.subnetID,
      'first-interface-index': facts.firstInterfaceIndex ?? 0,
    },
  }
}
