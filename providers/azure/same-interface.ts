import type { IPConfiguration, NIC } from './types.ts'

/** Whether two records of an interface say the same to its node. Names of configurations are ours alone and not compared. */
export function isSameInterface(a: NIC, b: NIC): boolean {
  return (
    a.id === b.id &&
    a.name === b.name &&
    a.mac === b.mac &&
    a.ip === b.ip &&
    a.subnet.id === b.subnet.id &&
    a.subnet.cidr === b.subnet.cidr &&
    a.securityGroup === b.securityGroup &&
    a.primaryState === b.primaryState &&
    a.pendingCount === b.pendingCount &&
    hasSameConfigurations(a.configurations, b.configurations, isSameConfiguration)
  )
}

/** Whether two records are the same in everything. */
export function isIdenticalInterface(a: NIC, b: NIC): boolean {
  return (
    a.isPrimary === b.isPrimary &&
    isSameInterface(a, b) &&
    hasSameConfigurations(a.configurations, b.configurations, (one, other) => one.name === other.name)
  )
}

function isSameConfiguration(a: IPConfiguration, b: IPConfiguration): boolean {
  return a.ip === b.ip && a.prefix === b.prefix && a.state === b.state
}

function hasSameConfigurations(
  a: readonly IPConfiguration[],
  b: readonly IPConfiguration[],
  isSame: (one: IPConfiguration, other: IPConfiguration) => boolean,
): boolean {
  if (a.length !== b.length) return false
  const byAddress = new Map(b.map((one) => [one.ip, one]))
  return a.every((one) => {
    const other = byAddress.get(one.ip)
    return other !== undefined && isSame(one, other)
  })
}
