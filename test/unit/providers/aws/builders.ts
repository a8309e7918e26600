import { decodeENISpec } from '../../../../providers/aws/eni-codec.ts'
import type { ENI, ENISpec } from '../../../../providers/aws/types.ts'
import { addressesOfPrefix } from '../../../../src/ipam/ip-range.ts'
import type { Limits, Subnet } from '../../../../src/ipam/types.ts'

/** 3 interfaces of 10 addresses, Nitro. */
export const M5_LARGE: Limits = { adapters: 3, ipv4: 10, ipv6: 10, hypervisorType: 'nitro', isBareMetal: false }

const DEFAULT_SPEC: ENISpec = {
  ...decodeENISpec(undefined),
  instanceType: 'm5.large',
  firstInterfaceIndex: 0,
  vpcID: 'vpc-1',
  availabilityZone: 'a',
}

export function spec(parts: Partial<ENISpec> = {}): ENISpec {
  return { ...DEFAULT_SPEC, ...parts }
}

/** An interface as a node sees it; the addresses of prefixes are added. */
export function eni(parts: Partial<ENI> & { readonly id: string }): ENI {
  return {
    ip: '10.0.0.4',
    ipv6: '',
    mac: '',
    description: '',
    number: 0,
    networkCardIndex: 0,
    interfaceType: 'interface',
    attachmentID: '',
    subnet: { id: 'subnet-1', cidr: '' },
    vpc: { id: 'vpc-1', primaryCIDR: '', cidrs: [] },
    prefixes: [],
    ipv6Prefixes: [],
    securityGroups: ['sg-1'],
    tags: {},
    publicIP: '',
    ...parts,
    addresses: [...(parts.addresses ?? []), ...(parts.prefixes ?? []).flatMap((prefix) => addressesOfPrefix(prefix))],
  }
}

/** `10.0.0.5`, … (count). */
export function addresses(count: number, base = '10.0.0.', first = 5): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${base}${first + index}`)
}

export function subnet(parts: Partial<Subnet> & { readonly id: string }): Subnet {
  return {
    name: '',
    cidr: '10.0.0.0/24',
    availabilityZone: 'a',
    virtualNetworkID: 'vpc-1',
    availableAddresses: 100,
    tags: {},
    ...parts,
  }
}
