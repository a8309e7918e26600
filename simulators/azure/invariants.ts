import { keyOf } from './cloud/arm-id.ts'
import { addressText } from './cloud/ip-configurations.ts'
import { formatIPv4 } from '../kit/ipv4.ts'
import { objectAt, objectsAt, textAt } from './cloud/json.ts'
import type { IPConfiguration, NIC, ScaleSetVM, Subnet } from './cloud/types.ts'
import type { Cloud } from './cloud.ts'

/** What must hold at any time in a subscription; `checkWorld` names the one that does not. */
export type InvariantRule =
  | 'address-shared'
  | 'address-not-taken'
  | 'address-reserved'
  | 'address-outside-subnet'
  | 'free-count'
  | 'configuration-holder'
  | 'configuration-count'
  | 'primary'
  | 'one-subnet'
  | 'configuration-limit'
  | 'machine-limit'
  | 'interface-owner'
  | 'model'
  | 'public-address'

export interface Violation {
  readonly rule: InvariantRule
  readonly detail: string
}

type Tell = (rule: InvariantRule, detail: string) => void

/**
 * Looks at the whole subscription as it is now; meant for tests, costs every address once.
 *
 * @returns everything that is broken, in a fixed order; empty when all is well
 */
export function checkWorld(cloud: Cloud): readonly Violation[] {
  cloud.settle()
  const violations: Violation[] = []
  const tell: Tell = (rule, detail) => violations.push({ rule, detail })
  for (const network of cloud.networks.items) {
    let count = 0
    for (const subnet of network.subnets) {
      checkSubnet(cloud, subnet, tell)
      count += subnet.configurations.size
    }
    if (count !== network.configurationCount) {
      tell('configuration-count', `${network.id} has ${count} configurations and counts ${network.configurationCount}`)
    }
  }
  for (const nic of cloud.nics.values()) checkNIC(cloud, nic, tell)
  for (const vm of cloud.scaleSetVMs.values()) checkModel(vm, tell)
  checkPublicIPs(cloud, tell)
  return violations
}

function checkSubnet(cloud: Cloud, subnet: Subnet, tell: Tell): void {
  const holders = new Map<number, IPConfiguration>()
  let prefixCount = 0
  for (const one of subnet.configurations) {
    if (one.addressCount > 1) prefixCount++
    for (let address = one.address; address < one.address + one.addressCount; address++) {
      const other = holders.get(address)
      const text = formatIPv4(address)
      if (other !== undefined) tell('address-shared', `${text} is on ${nameOf(other)} and on ${nameOf(one)}`)
      holders.set(address, one)
      if (!subnet.space.contains(address)) tell('address-outside-subnet', `${text} of ${nameOf(one)}`)
      else if (subnet.space.isReserved(address)) tell('address-reserved', `${text} of ${nameOf(one)}`)
      else if (!subnet.space.isTaken(address)) tell('address-not-taken', `${text} of ${nameOf(one)}`)
    }
    const { nic } = one
    const isHeld = nic.configurations.includes(one) || nic.releasing.includes(one)
    if (!isHeld || cloud.nics.get(nic.key) !== nic) tell('configuration-holder', `${nameOf(one)} is on no interface`)
  }
  if (prefixCount !== subnet.prefixCount) {
    tell('configuration-count', `${subnet.id} has ${prefixCount} prefixes and counts ${subnet.prefixCount}`)
  }
  const free = subnet.space.capacity - holders.size
  if (free !== subnet.space.free)
    tell('free-count', `${subnet.id} has ${free} free addresses and counts ${subnet.space.free}`)
}

function checkNIC(cloud: Cloud, nic: NIC, tell: Tell): void {
  const { quotas } = cloud.settings
  const { configurations, owner } = nic
  const primaryCount = configurations.filter(({ primary }) => primary).length
  if (primaryCount !== 1) tell('primary', `${nic.id} has ${primaryCount} primary configurations`)
  if (new Set(configurations.map(({ subnet }) => subnet)).size > 1) tell('one-subnet', nic.id)
  if (configurations.length > quotas.configurationsPerNIC) tell('configuration-limit', nic.id)
  for (const one of configurations) {
    if (one.nic !== nic || !one.subnet.configurations.has(one)) tell('configuration-holder', nameOf(one))
  }
  if (owner === undefined) return
  if (!owner.nics.includes(nic)) tell('interface-owner', `${nic.id} is not among those of ${owner.id}`)
  const total = owner.nics.reduce((sum, one) => sum + one.configurations.length, 0)
  if (owner.nics[0] === nic && total > quotas.configurationsPerVM) tell('machine-limit', owner.id)
}

/** Between writes, and unless the last one failed, the model names what the interfaces have. */
function checkModel(vm: ScaleSetVM, tell: Tell): void {
  if (vm.operation !== undefined || vm.state !== 'Succeeded') return
  const network = objectAt(objectAt(vm.document, 'properties'), 'networkProfileConfiguration')
  const interfaces = objectsAt(network, 'networkInterfaceConfigurations')
  const asked = interfaces.flatMap((one) =>
    objectsAt(objectAt(one, 'properties'), 'ipConfigurations').map((configuration) =>
      keyOf(`${textAt(one, 'name') ?? ''}/${textAt(configuration, 'name') ?? ''}`),
    ),
  )
  const present = vm.nics.flatMap((nic) => nic.configurations.map(({ name }) => keyOf(`${nic.name}/${name}`)))
  if (asked.sort().join() !== present.sort().join())
    tell('model', `${vm.id} asks for ${asked.length}, has ${present.length}`)
}

function checkPublicIPs(cloud: Cloud, tell: Tell): void {
  const holders = new Map<string, string>()
  for (const nic of cloud.nics.values()) {
    for (const { name, publicIP } of nic.configurations) {
      if (publicIP === undefined) continue
      const place = keyOf(`${nic.id}/ipConfigurations/${name}`)
      if (keyOf(publicIP.holder ?? '') !== place) tell('public-address', `${publicIP.id} does not know ${place}`)
      const other = holders.get(publicIP.key)
      if (other !== undefined) tell('public-address', `${publicIP.id} is on ${other} and on ${place}`)
      holders.set(publicIP.key, place)
    }
  }
}

function nameOf(one: IPConfiguration): string {
  return `${one.nic.id}/${one.name} (${addressText(one)})`
}
