import type { Cloud } from '../cloud.ts'
import { fault } from '../errors.ts'
import { keyOf } from './arm-id.ts'
import { PREFIX_BITS, formatIPv4 } from '../../kit/ipv4.ts'
import { releasePublicIP } from './public-ips.ts'
import type { IPConfiguration, NIC, PublicIPAddress, Subnet } from './types.ts'
import { prefixText } from './wanted-configurations.ts'
import type { WantedConfiguration } from './wanted-configurations.ts'

/** How a configuration gets its public address; throws ARMError when it cannot. */
export interface PublicIPSource {
  /** @param current the one it has already */
  resolve(wanted: WantedConfiguration, current: PublicIPAddress | undefined): PublicIPAddress | undefined
  /** Takes back one that `resolve` made or tied, when the write fails after all. */
  undo(publicIP: PublicIPAddress): void
}

interface Taken {
  readonly wanted: WantedConfiguration
  readonly address: number
}

/**
 * Brings an interface to the wanted configurations, matched by name: missing addresses are allocated, configurations no longer wanted
 * move to `releasing`. All or nothing.
 *
 * @returns the new configurations, in state `Updating`
 * @throws ARMError SubnetIsFull, PrivateIPAddressInUse, QuotaExceeded, or what the source of public addresses throws
 */
export function applyConfigurations(
  cloud: Cloud,
  nic: NIC,
  wanted: readonly WantedConfiguration[],
  publicIPs: PublicIPSource,
): readonly IPConfiguration[] {
  const byName = new Map(nic.configurations.map((one) => [keyOf(one.name), one]))
  const keptBy = new Map<WantedConfiguration, IPConfiguration>()
  for (const one of wanted) {
    const current = byName.get(keyOf(one.name))
    if (current !== undefined && isSamePlace(current, one)) keptBy.set(one, current)
  }
  const missing = wanted.filter((one) => !keptBy.has(one))
  const [first] = wanted
  if (first !== undefined) checkQuotas(cloud, nic, first.subnet, wanted.length, missing.length)
  const taken = takeAddresses(cloud, nic, missing)
  const resolved = new Map<WantedConfiguration, PublicIPAddress | undefined>()
  try {
    for (const one of wanted) resolved.set(one, publicIPs.resolve(one, keptBy.get(one)?.publicIP))
  } catch (error) {
    giveBack(taken)
    for (const [one, publicIP] of resolved) {
      if (publicIP !== undefined && publicIP !== keptBy.get(one)?.publicIP) publicIPs.undo(publicIP)
    }
    throw error
  }
  const added = new Map(taken.map((one) => [one.wanted, newConfiguration(nic, one, resolved.get(one.wanted))]))
  for (const [one, current] of keptBy) {
    const publicIP = resolved.get(one)
    if (current.publicIP !== undefined && current.publicIP !== publicIP) dropPublicIP(nic, current.publicIP)
    current.properties = one.properties
    current.primary = one.primary
    current.method = one.method
    current.publicIP = publicIP
  }
  const kept = new Set(keptBy.values())
  nic.releasing = [...nic.releasing, ...nic.configurations.filter((one) => !kept.has(one))]
  nic.configurations = wanted.flatMap((one) => keptBy.get(one) ?? added.get(one) ?? [])
  for (const one of nic.configurations) one.etag = nic.etag
  return [...added.values()]
}

function isSamePlace(current: IPConfiguration, wanted: WantedConfiguration): boolean {
  const isSameAddress = wanted.address === undefined || wanted.address === current.address
  return current.subnet === wanted.subnet && current.addressCount === wanted.addressCount && isSameAddress
}

function checkQuotas(cloud: Cloud, nic: NIC, subnet: Subnet, total: number, added: number): void {
  const { quotas } = cloud.settings
  const others = nic.owner?.nics.reduce((sum, one) => sum + (one === nic ? 0 : one.configurations.length), 0) ?? 0
  if (others + total > quotas.configurationsPerVM) {
    throw fault('QuotaExceeded', `private IP addresses of ${nic.owner?.id ?? nic.id}, ${quotas.configurationsPerVM}`)
  }
  if (subnet.network.configurationCount + added > quotas.configurationsPerNetwork) {
    throw fault('QuotaExceeded', `private IP addresses of ${subnet.network.id}, ${quotas.configurationsPerNetwork}`)
  }
}

/** Static addresses first, then blocks, then single addresses; in the end the order of the write. */
function takeAddresses(cloud: Cloud, nic: NIC, missing: readonly WantedConfiguration[]): readonly Taken[] {
  const taken: Taken[] = []
  const rank = (one: WantedConfiguration): number =>
    one.address === undefined ? 2 - Math.sign(one.addressCount - 1) : 0
  try {
    for (const wanted of [...missing].sort((a, b) => rank(a) - rank(b))) {
      taken.push({ wanted, address: takeAddress(cloud, nic, wanted, missing.length) })
    }
  } catch (error) {
    giveBack(taken)
    throw error
  }
  return taken
}

function takeAddress(cloud: Cloud, nic: NIC, wanted: WantedConfiguration, count: number): number {
  const { subnet, addressCount } = wanted
  const { space } = subnet
  if (wanted.address !== undefined) {
    const isFree = addressCount > 1 ? space.takeBlock(wanted.address) : space.take(wanted.address)
    if (isFree) return wanted.address
    throw fault('PrivateIPAddressInUse', formatIPv4(wanted.address), configurationID(nic, wanted.name))
  }
  const address =
    addressCount > 1 ? space.takeAnyBlock() : space.takeAny(cloud.settings.addressChoice, cloud.randomAddresses)
  if (address === undefined) throw fault('SubnetIsFull', subnet.name, prefixText(subnet), `${count}`)
  return address
}

function giveBack(taken: readonly Taken[]): void {
  for (const { wanted, address } of taken) wanted.subnet.space.release(address, wanted.addressCount)
}

function newConfiguration(
  nic: NIC,
  { wanted, address }: Taken,
  publicIP: PublicIPAddress | undefined,
): IPConfiguration {
  const { subnet } = wanted
  const made: IPConfiguration = {
    nic,
    name: wanted.name,
    subnet,
    address,
    addressCount: wanted.addressCount,
    primary: wanted.primary,
    properties: wanted.properties,
    method: wanted.method,
    publicIP,
    state: 'Updating',
    etag: nic.etag,
  }
  subnet.configurations.add(made)
  subnet.network.configurationCount++
  if (made.addressCount > 1) subnet.prefixCount++
  return made
}

/** The addresses of configurations that left the interface become free. */
export function releaseConfigurations(nic: NIC): void {
  for (const one of nic.releasing) {
    const { subnet } = one
    subnet.space.release(one.address, one.addressCount)
    subnet.configurations.delete(one)
    subnet.network.configurationCount--
    if (one.addressCount > 1) subnet.prefixCount--
    if (one.publicIP !== undefined) dropPublicIP(nic, one.publicIP)
  }
  nic.releasing = []
}

function dropPublicIP(nic: NIC, publicIP: PublicIPAddress): void {
  releasePublicIP(publicIP, nic.owner?.kind !== 'scale-set-vm')
}

export function configurationID(nic: NIC, name: string): string {
  return `${nic.id}/ipConfigurations/${name}`
}

/** `10.0.0.4`, or `10.0.0.16/28`. */
export function addressText({ address, addressCount }: IPConfiguration): string {
  return addressCount > 1 ? `${formatIPv4(address)}/${PREFIX_BITS}` : formatIPv4(address)
}
