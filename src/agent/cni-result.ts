import type { IPAMResponse } from './api-shapes.ts'
import type { NetworkConfig } from './cni-config.ts'
import { isAtLeast } from './cni-version.ts'
import { FAMILIES } from './family.ts'

/** One address of a result. `version` is there before 1.0.0 and must not be there from then on. */
interface ResultIP {
  readonly version?: '4' | '6'
  /** With its prefix. */
  readonly address: string
  readonly gateway?: string
}

/**
 * The result of an IPAM plug-in: without `interfaces`, which it knows nothing of. The gateway is that of the interface that carries
 * the address, or else the agent's own address on the node.
 *
 * @source CNI specification 1.1.0, "Delegated plugins (IPAM)"; 0.4.0, "IP Allocation"
 */
export function addResult(response: IPAMResponse, config: NetworkConfig): object {
  const { cniVersion, prefixLengths, routes } = config
  const ips = FAMILIES.toReversed().flatMap((family): ResultIP[] => {
    const given = response[family]
    if (given === undefined) return []
    const gateway = given.gateway ?? response['host-addressing'][family]?.ip
    return [
      {
        ...(!isAtLeast(cniVersion, '1.0.0') && { version: family === 'ipv4' ? '4' : '6' }),
        address: `${given.ip}/${prefixLengths[family]}`,
        ...(gateway !== undefined && gateway !== '' && { gateway }),
      },
    ]
  })
  return { cniVersion, ips, ...(routes.length > 0 && { routes }) }
}

/** Addresses of an answer of the agent, canonical. */
export function addressesOf({ ipv4, ipv6 }: IPAMResponse): readonly string[] {
  return [ipv4?.ip, ipv6?.ip].filter((ip) => ip !== undefined)
}
