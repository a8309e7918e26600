import { randomInteger } from '../../kit/random.ts'
import type { Cloud } from '../cloud.ts'
import { fault } from '../errors.ts'
import { formatIPv4 } from '../../kit/ipv4.ts'
import type { ElasticIP, NetworkInterface, Tags } from './types.ts'

/** Public addresses come from here: the block for benchmarks, which nobody routes. @source RFC 2544 */
const PUBLIC_BASE = 0xc6120000
const PUBLIC_SIZE = 2 ** 17

/** @throws EC2Error AddressLimitExceeded */
export function allocateAddress(cloud: Cloud, tags: Tags): ElasticIP {
  if (cloud.elasticIPs.size >= cloud.settings.quotas.elasticIPs) throw fault('AddressLimitExceeded')
  return makeElasticIP(cloud, { tags })
}

/** As `allocateAddress`, whatever the quota: for setting worlds up. */
export function makeElasticIP(
  cloud: Cloud,
  { tags, id, publicIP }: { tags: Tags; id?: string | undefined; publicIP?: string | undefined },
): ElasticIP {
  const elasticIP: ElasticIP = {
    resourceType: 'elastic-ip',
    id: id ?? cloud.newID('allocation'),
    ordinal: cloud.nextOrdinal(),
    tags,
    publicIP: publicIP ?? newPublicIP(cloud),
    association: undefined,
  }
  cloud.elasticIPs.add(elasticIP)
  return elasticIP
}

function newPublicIP(cloud: Cloud): string {
  const taken = new Set([...cloud.elasticIPs].map((other) => other.publicIP))
  for (;;) {
    const address = formatIPv4(PUBLIC_BASE + randomInteger(cloud.randomIDs, PUBLIC_SIZE))
    if (!taken.has(address)) return address
  }
}

/**
 * Gives a private address of an interface a public one. The same association again is answered with its id.
 *
 * @param address a private address of the interface; undefined for its primary one
 * @param allowReassociation whether existing associations of either side may be ended
 * @returns the association's id
 * @throws EC2Error Resource.AlreadyAssociated, InvalidParameterValue when the address is not on the interface
 */
export function associateAddress(
  cloud: Cloud,
  input: { elasticIP: ElasticIP; iface: NetworkInterface; address: number | undefined; allowReassociation: boolean },
): string {
  const { elasticIP, iface, allowReassociation } = input
  const address = input.address ?? iface.addresses.ipv4[0]
  if (address === undefined || !iface.addresses.ipv4.includes(address)) {
    throw fault('InvalidParameterValue', `The address is not assigned to interface ${iface.id}`)
  }
  const { association } = elasticIP
  if (association !== undefined) {
    if (association.iface === iface && association.address === address) return association.id
    if (!allowReassociation) throw fault('Resource.AlreadyAssociated', elasticIP.id, association.id)
  }
  const rival = iface.elasticIPs.find((other) => other.association?.address === address)
  if (rival?.association !== undefined && !allowReassociation) {
    throw fault('Resource.AlreadyAssociated', iface.id, rival.association.id)
  }
  if (rival !== undefined) end(rival)
  end(elasticIP)
  const id = cloud.newID('addressAssociation')
  elasticIP.association = { id, iface, address }
  iface.elasticIPs = [...iface.elasticIPs, elasticIP]
  return id
}

function end(elasticIP: ElasticIP): void {
  const { association } = elasticIP
  if (association === undefined) return
  association.iface.elasticIPs = association.iface.elasticIPs.filter((other) => other !== elasticIP)
  elasticIP.association = undefined
}
