import type { JSONObject, JSONValue, Tags } from '../../src/ipam/types.ts'
import type { ENI, ENISpec } from './types.ts'

/** `spec.eni` of a resource. Fields of the wrong type are as good as absent: the API server validates against the CRD. */
export function decodeENISpec(eni: JSONObject | undefined): ENISpec {
  const index = eni?.['first-interface-index']
  return {
    instanceType: text(eni?.['instance-type']),
    firstInterfaceIndex: typeof index === 'number' && Number.isInteger(index) && index >= 0 ? index : undefined,
    securityGroups: texts(eni?.['security-groups']),
    securityGroupTags: tags(eni?.['security-group-tags']),
    subnetIDs: texts(eni?.['subnet-ids']),
    subnetTags: tags(eni?.['subnet-tags']),
    nodeSubnetID: text(eni?.['node-subnet-id']),
    vpcID: text(eni?.['vpc-id']),
    availabilityZone: text(eni?.['availability-zone']),
    excludeInterfaceTags: tags(eni?.['exclude-interface-tags']),
    excludedInterfaceTypes: [],
    isDeletedOnTermination: eni?.['delete-on-termination'] !== false,
    usesPrimaryAddress: eni?.['use-primary-address'] === true,
    isPrefixDelegationDisabled: eni?.['disable-prefix-delegation'] === true,
  }
}

/**
 * Interfaces of `status.eni.enis`, so that a node can be served before the cloud was read. The status omits primary addresses
 * that pods may not use; here they are put back. Entries without an ID or a primary address are left out.
 *
 * @returns interface ID → interface
 */
export function decodeENIStatus(eni: JSONObject | undefined): ReadonlyMap<string, ENI> {
  const interfaces = new Map<string, ENI>()
  for (const [id, value] of Object.entries(object(eni?.['enis']))) {
    const entry = object(value)
    const ip = text(entry['ip'])
    if (id === '' || ip === '') continue
    const listed = texts(entry['addresses'])
    const subnet = object(entry['subnet'])
    const vpc = object(entry['vpc'])
    interfaces.set(id, {
      id,
      ip,
      ipv6: text(entry['ipv6']),
      mac: text(entry['mac']),
      description: text(entry['description']),
      number: count(entry['number']),
      networkCardIndex: 0,
      interfaceType: '',
      attachmentID: '',
      subnet: { id: text(subnet['id']), cidr: text(subnet['cidr']) },
      vpc: { id: text(vpc['id']), primaryCIDR: text(vpc['primary-cidr']), cidrs: texts(vpc['cidrs']) },
      addresses: listed.includes(ip) ? listed : [ip, ...listed],
      prefixes: texts(entry['prefixes']),
      ipv6Prefixes: texts(entry['ipv6-prefixes']),
      securityGroups: texts(entry['security-groups']),
      tags: tags(entry['tags']),
      publicIP: text(entry['public-ip']),
    })
  }
  return interfaces
}

/**
 * `status.eni.enis` of a node, by interface ID in order; empty values are omitted, as Go's `omitempty` does.
 *
 * @param interfaces the node's view
 * @source cilium pkg/aws/eni/types/types.go, ENI; pkg/aws/ipam/node.go, PopulateStatusFields
 */
export function encodeENIStatus(interfaces: readonly ENI[]): JSONObject {
  const enis: Record<string, JSONValue> = {}
  for (const eni of interfaces.toSorted((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)))) enis[eni.id] = encode(eni)
  return { enis }
}

function encode(eni: ENI): JSONObject {
  return compact({
    id: eni.id,
    ip: eni.ip,
    ipv6: eni.ipv6,
    mac: eni.mac,
    description: eni.description,
    number: eni.number,
    subnet: compact({ id: eni.subnet.id, cidr: eni.subnet.cidr }),
    vpc: compact({ id: eni.vpc.id, 'primary-cidr': eni.vpc.primaryCIDR, cidrs: eni.vpc.cidrs }),
    addresses: eni.addresses,
    prefixes: eni.prefixes,
    'ipv6-prefixes': eni.ipv6Prefixes,
    'security-groups': eni.securityGroups,
    tags: eni.tags,
    'public-ip': eni.publicIP,
  })
}

function compact(fields: JSONObject): JSONObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)))
}

function isEmpty(value: JSONValue | undefined): boolean {
  if (value === undefined || value === null || value === '' || value === 0) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function object(value: JSONValue | undefined): JSONObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JSONObject) : {}
}

function text(value: JSONValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

function texts(value: JSONValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
}

function count(value: JSONValue | undefined): number {
  return typeof value === 'number' ? value : 0
}

function tags(value: JSONValue | undefined): Tags {
  return Object.fromEntries(
    Object.entries(object(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
