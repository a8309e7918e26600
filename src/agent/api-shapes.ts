import type { AllocationResult } from './allocator.ts'
import type { Family } from './family.ts'
import type { AllocationPair, IPAMDump } from './ipam-types.ts'
import type { Lease } from './journal-record.ts'
import { POOL_DEFAULT, poolOrDefault } from './pool.ts'

/** The code of a refusal, beside its text in the body. */
export const ERROR_CODE_HEADER = 'x-berth-error-code'

/** @source cilium api/v1/openapi.yaml, AddressPair */
export interface AddressPair {
  readonly ipv4?: string
  readonly 'ipv4-expiration-uuid'?: string
  readonly 'ipv4-pool-name'?: string
  readonly ipv6?: string
  readonly 'ipv6-expiration-uuid'?: string
  readonly 'ipv6-pool-name'?: string
}

/** @source cilium api/v1/openapi.yaml, IPAMAddressResponse */
export interface IPAMAddressResponse {
  readonly ip: string
  readonly cidrs?: readonly string[]
  readonly gateway?: string
  readonly 'master-mac'?: string
  readonly 'interface-number'?: string
  readonly 'expiration-uuid'?: string
}

/** @source cilium api/v1/openapi.yaml, NodeAddressingElement */
export interface NodeAddressingElement {
  readonly enabled: boolean
  /** The agent's own address, where it has one: what pods take for their gateway. */
  readonly ip?: string
}

/** @source cilium api/v1/openapi.yaml, NodeAddressing */
export type NodeAddressing = { readonly [F in Family]?: NodeAddressingElement }

/** @source cilium api/v1/openapi.yaml, IPAMResponse */
export interface IPAMResponse {
  readonly address: AddressPair
  readonly 'host-addressing': NodeAddressing
  readonly ipv4?: IPAMAddressResponse
  readonly ipv6?: IPAMAddressResponse
}

/** @source cilium api/v1/openapi.yaml, IPAMStatus: both families in one map, and their addresses as lists */
export interface IPAMStatus {
  readonly status: string
  readonly allocations: Readonly<Record<string, string>>
  readonly ipv4?: readonly string[]
  readonly ipv6?: readonly string[]
}

/** @source cilium daemon/cmd/ipam.go, postIPAM.Handle */
export function toIPAMResponse(pair: AllocationPair, host: NodeAddressing): IPAMResponse {
  const { ipv4, ipv6 } = pair
  return {
    address: {
      ...(ipv4 !== undefined && {
        ipv4: ipv4.ip,
        'ipv4-pool-name': poolOrDefault(ipv4.ipPoolName),
        ...(ipv4.expirationUUID !== undefined && { 'ipv4-expiration-uuid': ipv4.expirationUUID }),
      }),
      ...(ipv6 !== undefined && {
        ipv6: ipv6.ip,
        'ipv6-pool-name': poolOrDefault(ipv6.ipPoolName),
        ...(ipv6.expirationUUID !== undefined && { 'ipv6-expiration-uuid': ipv6.expirationUUID }),
      }),
    },
    'host-addressing': host,
    ...(ipv4 !== undefined && { ipv4: toAddressResponse(ipv4) }),
    ...(ipv6 !== undefined && { ipv6: toAddressResponse(ipv6) }),
  }
}

/**
 * @param unbacked leases whose address no allocator knows: they are held all the same
 * @source cilium daemon/cmd/ipam.go, DumpIPAM
 */
export function toIPAMStatus(dump: IPAMDump, unbacked: readonly Lease[] = []): IPAMStatus {
  const { ipv4, ipv6, status } = dump
  const others = unbacked.map(({ ip, pool, owner }) => [pool === POOL_DEFAULT ? ip : `${pool}/${ip}`, owner] as const)
  return {
    status: others.length === 0 ? status : `${status}, ${others.length} held outside of the pool`,
    allocations: Object.fromEntries([...(ipv4 ?? []), ...(ipv6 ?? []), ...others]),
    ...(ipv4 !== undefined && { ipv4: [...(ipv4?.keys() ?? [])] }),
    ...(ipv6 !== undefined && { ipv6: [...(ipv6?.keys() ?? [])] }),
  }
}

function toAddressResponse(result: AllocationResult): IPAMAddressResponse {
  const { ip, cidrs, gatewayIP, primaryMAC, interfaceNumber, expirationUUID } = result
  return {
    ip,
    ...(cidrs !== undefined && { cidrs }),
    ...(gatewayIP !== undefined && { gateway: gatewayIP }),
    ...(primaryMAC !== undefined && { 'master-mac': primaryMAC }),
    ...(interfaceNumber !== undefined && { 'interface-number': interfaceNumber }),
    ...(expirationUUID !== undefined && { 'expiration-uuid': expirationUUID }),
  }
}
