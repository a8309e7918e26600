import type { JSONObject } from '../ipam/types.ts'

/** Where a node's addresses come from. Cilium pkg/ipam/option/option.go. */
export const IPAM_MODES = [
  'kubernetes',
  'cluster-pool',
  'cluster-pool-v2beta',
  'multi-pool',
  'crd',
  'eni',
  'azure',
  'alibabacloud',
  'delegated-plugin',
] as const
export type IPAMMode = (typeof IPAM_MODES)[number]

/**
 * Whose behaviour to follow where versions of the reference differ: the API of 1.6, that of 1.14, or what came after
 * (docs/compatibility.md).
 */
export const AGENT_PROFILES = ['v1.6', 'v1.14', 'later'] as const
export type AgentProfile = (typeof AGENT_PROFILES)[number]

/** What the facade and its allocators ask of the agent's configuration. Cilium pkg/ipam/ipam.go, Configuration. */
export interface Configuration {
  ipv4Enabled(): boolean
  ipv6Enabled(): boolean
  ipamMode(): string
  /** With health checking a node needs one more address before it can start. */
  healthCheckingEnabled(): boolean
  unreachableRoutesEnabled(): boolean
  /** Called once, when the VPC's CIDR was detected and none is configured. */
  setIPv4NativeRoutingCIDR(cidr: string): void
  /** Canonical CIDR text; undefined when not set. */
  getIPv4NativeRoutingCIDR(): string | undefined
}

/** What the facade asks of the agent around it. Cilium pkg/ipam/ipam.go, Owner. */
export interface Owner {
  /** Creates or updates the node's custom resource; resolves only when it exists. */
  updateCiliumNodeResource(): Promise<void>
  /** After every change of the node's pod CIDRs in cluster-pool-v2beta, so that routes can follow. */
  localAllocCIDRsUpdated(ipv4: readonly string[], ipv6: readonly string[]): void
}

export type K8sEventAction = 'create' | 'update' | 'delete'

/**
 * Told of CiliumNodes as JSON, of all nodes: who subscribes must look for its own. A node is never edited after it was handed on.
 *
 * @source cilium pkg/k8s/watchers/subscriber, CiliumNode
 */
export interface CiliumNodeSubscriber {
  onAdd(node: JSONObject): void
  onUpdate(old: JSONObject | undefined, node: JSONObject): void
  onDelete(node: JSONObject): void
}

/** Event accounting, and the source of CiliumNodes. Cilium pkg/ipam/ipam.go, K8sEventRegister; in 1.6 a part of Owner. */
export interface K8sEventRegister {
  k8sEventReceived(
    apiGroupResource: string,
    scope: string,
    action: K8sEventAction,
    valid: boolean,
    equal: boolean,
  ): void
  k8sEventProcessed(scope: string, action: K8sEventAction, ok: boolean): void
  registerCiliumNodeSubscriber(subscriber: CiliumNodeSubscriber): void
}

/** MTU of newly attached devices (bytes). Cilium pkg/ipam/ipam.go, MtuConfiguration. */
export interface MTUConfiguration {
  getDeviceMTU(): number
}

/** A route of the main table, as the v1.6 facade reserves them. */
export interface LocalRoute {
  /** CIDR; undefined: the default route. */
  readonly dst?: string
  readonly src?: string
  readonly gw?: string
  readonly dev: string
}

/** Reads the host's IPv4 routes. @throws whatever the host answers */
export interface LocalRouteReader {
  listIPv4Routes(): readonly LocalRoute[]
  hasDevice(name: string): boolean
}
