import { keyOf } from '../cloud/arm-id.ts'
import { presentScaleSet, presentVirtualMachine } from '../cloud/machines.ts'
import { presentInstanceView, presentScaleSetVM, putScaleSetVM } from '../cloud/scale-set-vms.ts'
import type { ScaleSet, ScaleSetVM, VirtualMachine } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import { groupOf, nameAt, ok } from '../operation.ts'
import type { Answer, Call, Operation } from '../operation.ts'
import { accepted } from './accepted.ts'
import { page } from './paging.ts'

const provider = 'Microsoft.Compute'
const SCALE_SET_TYPE = 'Microsoft.Compute/virtualMachineScaleSets'

/** @throws ARMError ResourceGroupNotFound, ResourceNotFound */
export function findScaleSet(call: Call): ScaleSet {
  const group = call.cloud.group(groupOf(call))
  const name = nameAt(call, 0)
  const found = group.scaleSets.get(keyOf(call.cloud.resourceID(group.name, SCALE_SET_TYPE, name)))
  if (found === undefined) throw fault('ResourceNotFound', `${SCALE_SET_TYPE}/${name}`, group.name)
  return found
}

/** @throws ARMError NotFound, ResourceNotFound */
export function findScaleSetVM(call: Call): ScaleSetVM {
  const scaleSet = findScaleSet(call)
  const instance = nameAt(call, 1)
  const found = scaleSet.machines.get(keyOf(`${scaleSet.id}/virtualMachines/${instance}`))
  if (found === undefined) throw fault('NotFound', `Instance ${instance} of virtual machine scale set ${scaleSet.name}`)
  return found
}

function findFlexible(call: Call, scaleSet: ScaleSet): VirtualMachine {
  const name = keyOf(nameAt(call, 1))
  const found = call.cloud
    .group(scaleSet.group)
    .machines.get(keyOf(call.cloud.resourceID(scaleSet.group, 'Microsoft.Compute/virtualMachines', name)))
  if (found === undefined || found.scaleSet !== scaleSet)
    throw fault('NotFound', `Instance ${nameAt(call, 1)} of virtual machine scale set ${scaleSet.name}`)
  return found
}

const hasInstanceView = (call: Call): boolean => keyOf(call.query.get('$expand') ?? '').includes('instanceview')

function getMachine(call: Call): Answer {
  const scaleSet = findScaleSet(call)
  if (scaleSet.orchestration === 'Uniform')
    return ok(presentScaleSetVM(call.cloud, findScaleSetVM(call), hasInstanceView(call)))
  const vm = findFlexible(call, scaleSet)
  return ok({
    ...presentVirtualMachine(call.cloud, vm, hasInstanceView(call)),
    id: `${scaleSet.id}/virtualMachines/${vm.name}`,
    type: `${SCALE_SET_TYPE}/virtualMachines`,
    instanceId: vm.name,
    virtualMachineResourceId: vm.id,
  })
}

function putMachine(call: Call): Answer {
  const scaleSet = findScaleSet(call)
  if (scaleSet.orchestration === 'Flexible') {
    throw fault(
      'OperationNotAllowed',
      'This operation is not allowed on virtual machines of a scale set with flexible orchestration.',
    )
  }
  const vm = scaleSet.machines.get(keyOf(`${scaleSet.id}/virtualMachines/${nameAt(call, 1)}`))
  if (vm === undefined) {
    const text = `The provided instanceId ${nameAt(call, 1)} is not an active Virtual Machine Scale Set VM instanceId.`
    throw fault('InvalidParameter', text)
  }
  const conditions = { ifMatch: call.headers['if-match'], ifNoneMatch: call.headers['if-none-match'] }
  const body = call.body()
  const operation = putScaleSetVM(call.cloud, vm, body, conditions, { client: call.client, scripted: call.scripted })
  return accepted(call, 200, operation, JSON.stringify(presentScaleSetVM(call.cloud, vm, false)))
}

function listMachines(call: Call): Answer {
  const scaleSet = findScaleSet(call)
  return page(call, scaleSet.machines.items, (vm) =>
    JSON.stringify(presentScaleSetVM(call.cloud, vm, hasInstanceView(call))),
  )
}

const SET = 'group Microsoft.Compute/virtualMachineScaleSets'
const VM = `${SET}/*/virtualMachines`

export const SCALE_SETS: readonly (readonly [route: string, operation: Operation])[] = [
  [
    `GET ${SET}`,
    {
      action: 'VirtualMachineScaleSets.List',
      kind: 'reads',
      provider,
      policy: 'HighCostGetVMScaleSet',
      run: (call) =>
        page(call, call.cloud.group(groupOf(call)).scaleSets.items, (one) =>
          JSON.stringify(presentScaleSet(call.cloud, one)),
        ),
    },
  ],
  [
    `GET ${SET}/*`,
    {
      action: 'VirtualMachineScaleSets.Get',
      kind: 'reads',
      provider,
      policy: 'LowCostGetVMScaleSet',
      resourceDepth: 1,
      run: (call) => ok(presentScaleSet(call.cloud, findScaleSet(call))),
    },
  ],
  [
    `GET ${VM}`,
    {
      action: 'VirtualMachineScaleSetVMs.List',
      kind: 'reads',
      provider,
      policy: 'HighCostGetVMScaleSet',
      resourceDepth: 1,
      run: listMachines,
    },
  ],
  [
    `GET ${VM}/*`,
    {
      action: 'VirtualMachineScaleSetVMs.Get',
      kind: 'reads',
      provider,
      policy: 'GetVMScaleSetVM',
      resourceDepth: 2,
      run: getMachine,
    },
  ],
  [
    `GET ${VM}/*/instanceView`,
    {
      action: 'VirtualMachineScaleSetVMs.GetInstanceView',
      kind: 'reads',
      provider,
      policy: 'GetVMScaleSetVM',
      resourceDepth: 2,
      run: (call) => ok(presentInstanceView(findScaleSetVM(call))),
    },
  ],
  [
    `PUT ${VM}/*`,
    {
      action: 'VirtualMachineScaleSetVMs.Update',
      kind: 'writes',
      provider,
      policy: 'UpdateVMScaleSetVM',
      resourceDepth: 2,
      run: putMachine,
    },
  ],
]
