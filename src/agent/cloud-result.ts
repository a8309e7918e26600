import { parseCIDR } from '../ipam/ip-range.ts'
import type { AllocationResult } from './allocator.ts'
import { IPAMError } from './errors.ts'
import type { LocalNode } from './local-node.ts'
import type { NodeInterface } from './node-interfaces.ts'
import { addressByIndex } from './range-bounds.ts'

export interface CloudResultInput {
  /** Canonical text. */
  readonly ip: string
  /** The interface that the pool's entry names. */
  readonly resource: string
  readonly mode: string
  readonly node: LocalNode
  /** Undefined when not set. */
  readonly nativeRoutingCIDR: string | undefined
  /** It was not configured: it repeats the VPC's primary one. */
  readonly isNativeRoutingCIDRDetected: boolean
}

/**
 * What a CNI plug-in must know of an address in a cloud: the interface that carries it, its gateway, what it reaches directly.
 * In mode `crd` the address alone.
 *
 * @throws IPAMError ENI_NOT_FOUND, with the interface
 * @source cilium pkg/ipam/crd.go, buildAllocationResult
 */
export function cloudResult(input: CloudResultInput): AllocationResult {
  const { ip, mode, node } = input
  switch (mode) {
    case 'eni': {
      const eni = interfaceOf(input, node.eni)
      const gatewayIP = gatewayAt(eni.subnetCIDR, 1)
      const cidrs = [eni.vpcPrimaryCIDR, ...eni.vpcSecondaryCIDRs].filter((text) => text !== '')
      return {
        ip,
        primaryMAC: eni.mac,
        cidrs: withNativeRouting(cidrs, input),
        ...(gatewayIP !== undefined && { gatewayIP }),
        interfaceNumber: eni.number,
      }
    }
    case 'azure': {
      const iface = interfaceOf(input, node.azure)
      const cidrs = iface.subnetCIDR === '' ? [] : [iface.subnetCIDR]
      return {
        ip,
        primaryMAC: iface.mac,
        cidrs: withNativeRouting(cidrs, input),
        ...(iface.gateway !== '' && { gatewayIP: iface.gateway }),
        interfaceNumber: iface.number,
      }
    }
    case 'alibabacloud': {
      const eni = interfaceOf(input, node.alibabaCloud)
      // The cloud's gateway is the third last address of a vSwitch. Alibaba Cloud VPC documentation, "System reserved addresses".
      const gatewayIP = gatewayAt(eni.subnetCIDR, -3)
      return {
        ip,
        primaryMAC: eni.mac,
        cidrs: eni.subnetCIDR === '' ? [] : [eni.subnetCIDR],
        ...(gatewayIP !== undefined && { gatewayIP }),
        interfaceNumber: eni.number,
      }
    }
    default:
      return { ip }
  }
}

/**
 * Whether the ENI part of a resource is complete: the operator writes it in two steps, status and pool, and what lies between
 * must not be acted on.
 *
 * @throws IPAMError ENI_CONFIG_INCOMPLETE, with the interface and the address
 * @source cilium pkg/ipam/crd.go, validateENIConfig
 */
export function validateENIConfig(node: LocalNode): void {
  for (const { id, vpcPrimaryCIDR, vpcSecondaryCIDRs } of node.eni.values()) {
    if (vpcPrimaryCIDR === '') throw incomplete(`VPC primary CIDR not set for ENI ${id}`, id)
    if (vpcSecondaryCIDRs.includes('')) throw incomplete(`VPC CIDR not set for ENI ${id}`, id)
  }
  for (const [ip, { resource = '' }] of node.pool ?? []) {
    const eni = node.eni.get(resource)
    if (eni === undefined) throw incomplete(`ENI ${resource} of IP ${ip} not found in status`, resource, ip)
    if (!eni.addresses.has(ip)) throw incomplete(`ENI ${resource} does not have address ${ip}`, resource, ip)
  }
}

/** Whether an interface of the node lists the address: it is attached, whatever the handshake says. */
export function isListedByInterface(node: LocalNode, ip: string): boolean {
  return [node.eni, node.azure, node.alibabaCloud].some((interfaces) =>
    [...interfaces.values()].some(({ addresses }) => addresses.has(ip)),
  )
}

function interfaceOf(
  { ip, resource }: CloudResultInput,
  interfaces: ReadonlyMap<string, NodeInterface>,
): NodeInterface {
  const found = interfaces.get(resource)
  if (found !== undefined) return found
  throw new IPAMError('ENI_NOT_FOUND', `unable to find the interface '${resource}' of the address`, {
    ip,
    interfaceID: resource,
  })
}

function withNativeRouting(cidrs: readonly string[], input: CloudResultInput): readonly string[] {
  const { nativeRoutingCIDR, isNativeRoutingCIDRDetected } = input
  if (nativeRoutingCIDR === undefined) return cidrs
  if (isNativeRoutingCIDRDetected && cidrs.includes(nativeRoutingCIDR)) return cidrs
  return [...cidrs, nativeRoutingCIDR]
}

function gatewayAt(subnet: string, index: number): string | undefined {
  const cidr = subnet === '' ? undefined : parseCIDR(subnet)
  return cidr === undefined ? undefined : addressByIndex(cidr, index)
}

function incomplete(message: string, interfaceID: string, ip?: string): IPAMError {
  return new IPAMError('ENI_CONFIG_INCOMPLETE', message, { interfaceID, ip })
}
