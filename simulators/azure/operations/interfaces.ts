import { keyOf } from '../cloud/arm-id.ts'
import { startOperation } from '../cloud/async-operations.ts'
import { NIC_TYPE, presentConfiguration, putNIC, removeNIC, renderNIC } from '../cloud/nics.ts'
import type { NIC } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import { groupOf, nameAt, ok } from '../operation.ts'
import type { Answer, Call, Operation } from '../operation.ts'
import { accepted } from './accepted.ts'
import { page } from './paging.ts'

const provider = 'Microsoft.Network'

function find(call: Call): NIC {
  const group = call.cloud.group(groupOf(call))
  const name = nameAt(call, 0)
  const found = group.nics.get(keyOf(call.cloud.resourceID(group.name, NIC_TYPE, name)))
  if (found === undefined) throw fault('ResourceNotFound', `${NIC_TYPE}/${name}`, group.name)
  return found
}

function put(call: Call): Answer {
  const conditions = { ifMatch: call.headers['if-match'], ifNoneMatch: call.headers['if-none-match'] }
  const where = { group: groupOf(call), name: nameAt(call, 0) }
  const { nic, created, operation } = putNIC(call.cloud, where, call.body(), conditions, call.scripted)
  return accepted(call, created ? 201 : 200, operation, renderNIC(call.cloud, nic))
}

/** The interface is gone from the lists at once; its operation takes its time. */
function remove(call: Call): Answer {
  const { cloud } = call
  const nic = find(call)
  if (nic.owner !== undefined) throw fault('NicInUse', nic.id, nic.owner.id)
  removeNIC(cloud, nic)
  cloud.group(nic.group).nics.deleteAll(new Set([nic]))
  const operation = startOperation(cloud, {
    service: provider,
    resourceKey: nic.key,
    durationMs: cloud.duration(cloud.settings.networkOperationMs),
    result: () => '',
    scripted: call.scripted(),
    complete: (error) => error,
  })
  return accepted(call, 202, operation, '')
}

function configurations(call: Call): Answer {
  return page(call, find(call).configurations, (one) => JSON.stringify(presentConfiguration(one)))
}

const ONE = 'group Microsoft.Network/networkInterfaces/*'
const render = (call: Call) => (nic: NIC) => renderNIC(call.cloud, nic)

export const INTERFACES: readonly (readonly [route: string, operation: Operation])[] = [
  [
    'GET group Microsoft.Network/networkInterfaces',
    {
      action: 'Interfaces.List',
      kind: 'reads',
      provider,
      run: (call) => page(call, call.cloud.group(groupOf(call)).nics.items, render(call)),
    },
  ],
  [
    'GET subscription Microsoft.Network/networkInterfaces',
    {
      action: 'Interfaces.ListAll',
      kind: 'reads',
      provider,
      run: (call) =>
        page(
          call,
          call.cloud.groups.flatMap(({ nics }) => nics.items),
          render(call),
        ),
    },
  ],
  [
    `GET ${ONE}`,
    { action: 'Interfaces.Get', kind: 'reads', provider, run: (call) => ok(renderNIC(call.cloud, find(call))) },
  ],
  [`PUT ${ONE}`, { action: 'Interfaces.CreateOrUpdate', kind: 'writes', provider, run: put }],
  [`DELETE ${ONE}`, { action: 'Interfaces.Delete', kind: 'deletes', provider, run: remove }],
  [
    `GET ${ONE}/ipConfigurations`,
    { action: 'InterfaceIPConfigurations.List', kind: 'reads', provider, run: configurations },
  ],
]
