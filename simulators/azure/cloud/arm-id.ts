/** A path or resource ID of Resource Manager, taken apart. Texts keep their case; compare them lower-cased. */
export interface ARMPath {
  readonly subscription: string
  readonly resourceGroup: string | undefined
  /** `Microsoft.Network`; undefined for the group or subscription itself. */
  readonly namespace: string | undefined
  /** `virtualNetworks`, `subnets`, outermost first. */
  readonly types: readonly string[]
  /** One for each type, but for the last type of a collection. */
  readonly names: readonly string[]
}

/** @returns undefined for anything but `/subscriptions/{id}[/resourceGroups/{name}][/providers/{namespace}/{type}/{name}…]` */
export function parseARMPath(path: string): ARMPath | undefined {
  const segments = path.split('/').map(decoded)
  if (segments.at(-1) === '') segments.pop()
  if (segments[0] !== '' || segments[1]?.toLowerCase() !== 'subscriptions') return undefined
  if (segments.includes('', 1)) return undefined
  const subscription = segments[2]
  if (subscription === undefined) return undefined
  let at = 3
  let resourceGroup: string | undefined
  if (segments[at]?.toLowerCase() === 'resourcegroups') {
    resourceGroup = segments[at + 1]
    if (resourceGroup === undefined) return undefined
    at += 2
  }
  if (segments[at] === undefined) return { subscription, resourceGroup, namespace: undefined, types: [], names: [] }
  if (segments[at]?.toLowerCase() !== 'providers') return undefined
  const namespace = segments[at + 1]
  if (namespace === undefined) return undefined
  const types: string[] = []
  const names: string[] = []
  segments.slice(at + 2).forEach((segment, index) => (index % 2 === 0 ? types : names).push(segment))
  return types.length === 0 ? undefined : { subscription, resourceGroup, namespace, types, names }
}

/** A segment that is wrongly encoded stands for itself: it names nothing that exists. */
function decoded(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** Identifiers compare without case: everything is indexed by this form. */
export function keyOf(id: string): string {
  return id.toLowerCase()
}

export function groupID(subscription: string, group: string): string {
  return `/subscriptions/${subscription}/resourceGroups/${group}`
}

export function resourceID(subscription: string, group: string, type: string, name: string): string {
  return `${groupID(subscription, group)}/providers/${type}/${name}`
}
