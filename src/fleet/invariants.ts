import { PREFIX_ADDRESSES, podAddresses } from './world-view.ts'
import type { InterfaceView, NodeView, WorldView } from './world-view.ts'

/** What must never happen, as far as it shows in the world itself. */
export type ViolationKind =
  | 'address-on-two-interfaces'
  | 'address-of-two-pods'
  | 'address-in-use-not-attached'
  | 'interface-above-its-slots'
  | 'instance-above-its-interfaces'
  | 'node-above-max-allocate'
  | 'foreign-fields-overwritten'
  /** Found by `idle-need.ts`: it shows over time, not in one look. */
  | 'node-waits-idle'

export interface Violation {
  readonly kind: ViolationKind
  /** One sentence that names the address, the interface, the pod. */
  readonly detail: string
}

/** All violations at this moment, in the order of the kinds; none in a sound world. Costs one look at every address. */
export function checkInvariants(world: WorldView): readonly Violation[] {
  const byInstance = Map.groupBy(world.interfaces, ({ instanceID }) => instanceID)
  const attachedTo = (node: NodeView): readonly InterfaceView[] => byInstance.get(node.instanceID) ?? []
  return [
    ...addressesOnTwoInterfaces(world.interfaces),
    ...addressesOfTwoPods(world.nodes),
    ...world.nodes.flatMap((node) => inUseNotAttached(node, attachedTo(node))),
    ...world.nodes.flatMap((node) => aboveLimits(node, attachedTo(node))),
    ...world.nodes.flatMap((node) => aboveMaxAllocate(node, attachedTo(node))),
    ...world.nodes.filter(({ overwrites }) => overwrites > 0).map(overwritten),
  ]
}

function addressesOnTwoInterfaces(interfaces: readonly InterfaceView[]): readonly Violation[] {
  const carrier = new Map<string, string>()
  const violations: Violation[] = []
  for (const iface of interfaces) {
    for (const address of [...iface.addresses.slice(0, 1), ...podAddresses(iface)]) {
      const other = carrier.get(address)
      if (other === undefined) carrier.set(address, iface.id)
      else
        violations.push({
          kind: 'address-on-two-interfaces',
          detail: `${address} is on ${other === iface.id ? `${other} twice` : `${other} and ${iface.id}`}`,
        })
    }
  }
  return violations
}

function addressesOfTwoPods(nodes: readonly NodeView[]): readonly Violation[] {
  const holder = new Map<string, string>()
  const violations: Violation[] = []
  for (const { name, holdings } of nodes) {
    for (const { address, owner } of holdings) {
      const pod = `${owner} on ${name}`
      const other = holder.get(address)
      if (other === undefined) holder.set(address, pod)
      else violations.push({ kind: 'address-of-two-pods', detail: `${address} is in the hands of ${other} and ${pod}` })
    }
  }
  return violations
}

function inUseNotAttached(node: NodeView, attached: readonly InterfaceView[]): readonly Violation[] {
  const addresses = new Set(attached.flatMap(podAddresses))
  return node.holdings
    .filter(({ address }) => !addresses.has(address))
    .map(({ address, owner }) => ({
      kind: 'address-in-use-not-attached',
      detail: `${address} is used by ${owner} and on no interface of ${node.name} (${node.instanceID})`,
    }))
}

function aboveLimits({ name, limits }: NodeView, attached: readonly InterfaceView[]): readonly Violation[] {
  const violations: Violation[] = []
  if (attached.length > limits.interfaces)
    violations.push({
      kind: 'instance-above-its-interfaces',
      detail: `${name} has ${attached.length} interfaces, its type takes ${limits.interfaces}`,
    })
  for (const { id, addresses, prefixes } of attached) {
    const slots = addresses.length + prefixes.length
    if (slots > limits.slotsPerInterface)
      violations.push({
        kind: 'interface-above-its-slots',
        detail: `${id} on ${name} carries ${slots} addresses and prefixes, its type takes ${limits.slotsPerInterface}`,
      })
  }
  return violations
}

/** A prefix cannot be cut: with prefixes, a node may exceed its maximum by less than one of them. */
function aboveMaxAllocate({ name, maxAllocate }: NodeView, attached: readonly InterfaceView[]): readonly Violation[] {
  if (maxAllocate === 0) return []
  const count = attached.reduce((sum, iface) => sum + podAddresses(iface).length, 0)
  const hasPrefixes = attached.some(({ prefixes }) => prefixes.length > 0)
  const ceiling = hasPrefixes ? maxAllocate + PREFIX_ADDRESSES - 1 : maxAllocate
  const detail = `${name} has ${count} addresses, its max-allocate is ${maxAllocate}`
  return count > ceiling ? [{ kind: 'node-above-max-allocate', detail }] : []
}

function overwritten({ name, overwrites }: NodeView): Violation {
  const detail = `what the agent of ${name} had written was overwritten by another writer, ${overwrites} times`
  return { kind: 'foreign-fields-overwritten', detail }
}
