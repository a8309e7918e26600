import { keyOf } from '../cloud/arm-id.ts'
import { presentPublicIP, presentPublicPrefix } from '../cloud/public-ips.ts'
import { fault } from '../errors.ts'
import { groupOf, nameAt, ok } from '../operation.ts'
import type { Answer, Call, Operation } from '../operation.ts'
import { page } from './paging.ts'

const ADDRESS = 'Microsoft.Network/publicIPAddresses'
const PREFIX = 'Microsoft.Network/publicIPPrefixes'

function read(action: string, run: (call: Call) => Answer): Operation {
  return { action, kind: 'reads', provider: 'Microsoft.Network', run }
}

function getAddress(call: Call): Answer {
  const group = call.cloud.group(groupOf(call))
  const found = group.publicIPs.get(keyOf(call.cloud.resourceID(group.name, ADDRESS, nameAt(call, 0))))
  if (found === undefined) throw fault('ResourceNotFound', `${ADDRESS}/${nameAt(call, 0)}`, group.name)
  return ok(presentPublicIP(call.cloud, found))
}

function getPrefix(call: Call): Answer {
  const group = call.cloud.group(groupOf(call))
  const found = group.publicPrefixes.get(keyOf(call.cloud.resourceID(group.name, PREFIX, nameAt(call, 0))))
  if (found === undefined) throw fault('ResourceNotFound', `${PREFIX}/${nameAt(call, 0)}`, group.name)
  return ok(presentPublicPrefix(call.cloud, found))
}

export const PUBLIC_IPS: readonly (readonly [route: string, operation: Operation])[] = [
  [
    `GET group ${PREFIX}`,
    read('PublicIPPrefixes.List', (call) =>
      page(call, call.cloud.group(groupOf(call)).publicPrefixes.items, (one) =>
        JSON.stringify(presentPublicPrefix(call.cloud, one)),
      ),
    ),
  ],
  [`GET group ${PREFIX}/*`, read('PublicIPPrefixes.Get', getPrefix)],
  [
    `GET group ${ADDRESS}`,
    read('PublicIPAddresses.List', (call) =>
      page(call, call.cloud.group(groupOf(call)).publicIPs.items, (one) =>
        JSON.stringify(presentPublicIP(call.cloud, one)),
      ),
    ),
  ],
  [`GET group ${ADDRESS}/*`, read('PublicIPAddresses.Get', getAddress)],
]
