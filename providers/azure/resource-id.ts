/** The parts of an ARM ID: `/subscriptions/s/resourceGroups/g/providers/Namespace/type/name/type/name…`. */
interface ResourceID {
  readonly subscriptionID: string
  /** Empty for a resource of the subscription itself. */
  readonly resourceGroup: string
  readonly namespace: string
  /** Types with their names, outermost first. */
  readonly segments: readonly { readonly type: string; readonly name: string }[]
}

/** @returns undefined for a text that is no ARM ID of a resource */
function parseResourceID(id: string): ResourceID | undefined {
  const [root, ...parts] = id.split('/')
  if (root !== '' || parts.includes('')) return undefined
  const [subscriptions = '', subscriptionID = '', ...scope] = parts
  if (!isSame(subscriptions, 'subscriptions') || subscriptionID === '') return undefined
  const hasGroup = isSame(scope[0] ?? '', 'resourceGroups')
  const resourceGroup = hasGroup ? (scope[1] ?? '') : ''
  const [providers = '', namespace = '', ...path] = hasGroup ? scope.slice(2) : scope
  if (!isSame(providers, 'providers') || namespace === '' || path.length === 0 || path.length % 2 !== 0)
    return undefined
  const segments = []
  for (let at = 0; at < path.length; at += 2) segments.push({ type: path[at] ?? '', name: path[at + 1] ?? '' })
  return { subscriptionID, resourceGroup, namespace, segments }
}

/** ARM does not tell letter case apart, and spells one ID in several ways. */
function isSame(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase()
}

/** The form of an ID to index by. */
export function keyOf(id: string): string {
  return id.toLowerCase()
}

function nameOf({ segments }: ResourceID, type: string): string {
  return segments.find((segment) => isSame(segment.type, type))?.name ?? ''
}

/** Where an interface belongs. */
export interface NICPlace {
  readonly resourceGroup: string
  /** Empty for an ordinary interface: one of a standalone machine, or of a flexible scale set. */
  readonly scaleSetName: string
  /** The machine's number within its scale set; empty as above. */
  readonly vmID: string
}

/**
 * The parts of an interface's ID.
 *
 * @returns three empty texts for an ID that does not parse
 * @source cilium pkg/azure/types/types.go, extractIDs
 */
export function parseNICID(id: string): NICPlace {
  const parsed = parseResourceID(id)
  if (parsed === undefined) return { resourceGroup: '', scaleSetName: '', vmID: '' }
  return {
    resourceGroup: parsed.resourceGroup,
    scaleSetName: nameOf(parsed, 'virtualMachineScaleSets'),
    vmID: nameOf(parsed, 'virtualMachines'),
  }
}

export interface SubnetPlace {
  readonly subscriptionID: string
  readonly resourceGroup: string
  readonly virtualNetwork: string
  readonly subnet: string
}

/**
 * The parts of a subnet's ID. Its group need not be the configured one.
 *
 * @returns undefined for anything else than a subnet
 * @source cilium pkg/azure/api, parseSubnetID
 */
export function parseSubnetID(id: string): SubnetPlace | undefined {
  const parsed = parseResourceID(id)
  if (parsed === undefined || parsed.resourceGroup === '' || !isSame(parsed.namespace, 'Microsoft.Network'))
    return undefined
  const [network, subnet, ...more] = parsed.segments
  if (network === undefined || subnet === undefined || more.length > 0) return undefined
  if (!isSame(network.type, 'virtualNetworks') || !isSame(subnet.type, 'subnets')) return undefined
  const { subscriptionID, resourceGroup } = parsed
  return { subscriptionID, resourceGroup, virtualNetwork: network.name, subnet: subnet.name }
}

/** A machine: one of a scale set, or one that stands alone (those of flexible scale sets do). */
export type MachinePlace =
  | {
      readonly kind: 'scaleSetVM'
      readonly subscriptionID: string
      readonly resourceGroup: string
      readonly scaleSetName: string
      readonly vmID: string
    }
  | {
      readonly kind: 'standalone'
      readonly subscriptionID: string
      readonly resourceGroup: string
      readonly name: string
    }

/** @param id ARM ID of a machine, any letter case. @returns undefined for anything else */
export function parseMachineID(id: string): MachinePlace | undefined {
  const parsed = parseResourceID(id)
  if (parsed === undefined || parsed.resourceGroup === '' || !isSame(parsed.namespace, 'Microsoft.Compute'))
    return undefined
  const { subscriptionID, resourceGroup } = parsed
  const types = parsed.segments.map(({ type }) => type.toLowerCase()).join('/')
  if (types === 'virtualmachines')
    return { kind: 'standalone', subscriptionID, resourceGroup, name: nameOf(parsed, 'virtualMachines') }
  if (types !== 'virtualmachinescalesets/virtualmachines') return undefined
  const { scaleSetName, vmID } = parseNICID(id)
  return { kind: 'scaleSetVM', subscriptionID, resourceGroup, scaleSetName, vmID }
}

const PROVIDER_ID_PREFIX = 'azure://'

/**
 * The instance ID of a node: its machine's ARM ID in lower case.
 *
 * @param text the ARM ID, or the provider ID of the Kubernetes node (`azure://` and the ARM ID)
 * @source cilium pkg/nodediscovery/nodediscovery.go, mutateNodeResource
 */
export function instanceIDOf(text: string): string {
  return keyOf(text.startsWith(PROVIDER_ID_PREFIX) ? text.slice(PROVIDER_ID_PREFIX.length) : text)
}
