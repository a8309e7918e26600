import { keyOf } from '../cloud/arm-id.ts'
import { presentVirtualMachine } from '../cloud/machines.ts'
import type { VirtualMachine } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import { groupOf, nameAt, ok } from '../operation.ts'
import type { Call, Operation } from '../operation.ts'
import { page } from './paging.ts'

const provider = 'Microsoft.Compute'
const TYPE = 'Microsoft.Compute/virtualMachines'

function find(call: Call): VirtualMachine {
  const group = call.cloud.group(groupOf(call))
  const name = nameAt(call, 0)
  const found = group.machines.get(keyOf(call.cloud.resourceID(group.name, TYPE, name)))
  if (found === undefined) throw fault('ResourceNotFound', `${TYPE}/${name}`, group.name)
  return found
}

const hasInstanceView = (call: Call): boolean => keyOf(call.query.get('$expand') ?? '').includes('instanceview')

export const VIRTUAL_MACHINES: readonly (readonly [route: string, operation: Operation])[] = [
  [
    `GET group ${TYPE}`,
    {
      action: 'VirtualMachines.List',
      kind: 'reads',
      provider,
      policy: 'HighCostGetVM',
      run: (call) =>
        page(call, call.cloud.group(groupOf(call)).machines.items, (vm) =>
          JSON.stringify(presentVirtualMachine(call.cloud, vm, hasInstanceView(call))),
        ),
    },
  ],
  [
    `GET group ${TYPE}/*`,
    {
      action: 'VirtualMachines.Get',
      kind: 'reads',
      provider,
      policy: 'LowCostGetVM',
      resourceDepth: 1,
      run: (call) => ok(presentVirtualMachine(call.cloud, find(call), hasInstanceView(call))),
    },
  ],
]
