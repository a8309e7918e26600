import table from '../data/instance-types.json' with { type: 'json' }

/** Network limits of an instance type. */
export interface InstanceType {
  readonly name: string
  /** Place in the order of names, for pages. */
  readonly ordinal: number
  /** Interfaces over all network cards (count). */
  readonly adapters: number
  readonly cards: number
  /** Addresses or prefixes that one interface can carry, its primary included (count). */
  readonly ipv4: number
  readonly ipv6: number
  /** Empty for bare metal. */
  readonly hypervisor: '' | 'nitro' | 'xen'
  readonly bareMetal: boolean
}

interface Row {
  readonly adapters: number
  readonly ipv4: number
  readonly ipv6: number
  readonly hypervisor: string
  readonly bareMetal: boolean
  readonly cards?: number
}

const TYPES: ReadonlyMap<string, InstanceType> = new Map(
  Object.entries<Row>(table.types)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, row], index) => [
      name,
      {
        name,
        ordinal: index + 1,
        adapters: row.adapters,
        cards: row.cards ?? 1,
        ipv4: row.ipv4,
        ipv6: row.ipv6,
        hypervisor: row.hypervisor === 'nitro' || row.hypervisor === 'xen' ? row.hypervisor : '',
        bareMetal: row.bareMetal,
      },
    ]),
)

/** Every type offered, by name in order. */
export function instanceTypes(): Iterable<InstanceType> {
  return TYPES.values()
}

export function instanceType(name: string): InstanceType | undefined {
  return TYPES.get(name)
}

/** Interfaces that one network card takes (count). */
export function interfacesPerCard(type: InstanceType): number {
  return type.adapters / type.cards
}

/** Whether interfaces of this type can carry prefixes: Nitro, bare metal included. Bare metal of before Nitro is not told apart. */
export function supportsPrefixes(type: InstanceType): boolean {
  return type.hypervisor === 'nitro' || type.bareMetal
}
