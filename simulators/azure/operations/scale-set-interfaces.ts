import { keyOf } from '../cloud/arm-id.ts'
import { presentConfiguration, renderNIC } from '../cloud/nics.ts'
import { presentPublicIP } from '../cloud/public-ips.ts'
import type { IPConfiguration, NIC } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import { groupOf, nameAt, ok } from '../operation.ts'
import type { Answer, Call, Operation } from '../operation.ts'
import { page } from './paging.ts'
import { findScaleSet, findScaleSetVM } from './scale-sets.ts'

/** The path is of Compute, the answer of Network: its buckets are charged. */
const provider = 'Microsoft.Network'
const kind = 'reads'

const render = (call: Call) => (nic: NIC) => renderNIC(call.cloud, nic)

/** A uniform set without machines answers 404; a flexible one has no interfaces here. */
function listOfScaleSet(call: Call): Answer {
  const scaleSet = findScaleSet(call)
  if (scaleSet.orchestration === 'Uniform' && scaleSet.machines.size === 0) {
    throw fault('NotFound', `No network interface of scale set ${scaleSet.name} in resource group ${groupOf(call)}`)
  }
  return page(call, scaleSet.nics.items, render(call))
}

function findNIC(call: Call): NIC {
  const vm = findScaleSetVM(call)
  const found = vm.nics.find(({ name }) => keyOf(name) === keyOf(nameAt(call, 2)))
  if (found === undefined) throw fault('NotFound', `Network interface ${nameAt(call, 2)} of ${vm.id}`)
  return found
}

function findConfiguration(call: Call): IPConfiguration {
  const nic = findNIC(call)
  const found = nic.configurations.find(({ name }) => keyOf(name) === keyOf(nameAt(call, 3)))
  if (found === undefined) throw fault('NotFound', `IP configuration ${nameAt(call, 3)} of ${nic.id}`)
  return found
}

function publicIPs(call: Call): Answer {
  const { publicIP } = findConfiguration(call)
  return page(call, publicIP === undefined ? [] : [publicIP], (one) => JSON.stringify(presentPublicIP(call.cloud, one)))
}

const SET = 'group Microsoft.Compute/virtualMachineScaleSets/*'
const NICS = `${SET}/virtualMachines/*/networkInterfaces`
const CONFIGURATIONS = `${NICS}/*/ipConfigurations`

function read(action: string, run: (call: Call) => Answer): Operation {
  return { action, kind, provider, run }
}

export const SCALE_SET_INTERFACES: readonly (readonly [route: string, operation: Operation])[] = [
  [`GET ${SET}/networkInterfaces`, read('Interfaces.ListVirtualMachineScaleSetNetworkInterfaces', listOfScaleSet)],
  [
    `GET ${NICS}`,
    read('Interfaces.ListVirtualMachineScaleSetVMNetworkInterfaces', (call) =>
      page(call, findScaleSetVM(call).nics, render(call)),
    ),
  ],
  [
    `GET ${NICS}/*`,
    read('Interfaces.GetVirtualMachineScaleSetNetworkInterface', (call) => ok(renderNIC(call.cloud, findNIC(call)))),
  ],
  [
    `GET ${CONFIGURATIONS}`,
    read('Interfaces.ListVirtualMachineScaleSetIpConfigurations', (call) =>
      page(call, findNIC(call).configurations, (one) => JSON.stringify(presentConfiguration(one))),
    ),
  ],
  [
    `GET ${CONFIGURATIONS}/*`,
    read('Interfaces.GetVirtualMachineScaleSetIpConfiguration', (call) =>
      ok(presentConfiguration(findConfiguration(call))),
    ),
  ],
  [
    `GET ${CONFIGURATIONS}/*/publicIPAddresses`,
    read('PublicIPAddresses.ListVirtualMachineScaleSetVMPublicIPAddresses', publicIPs),
  ],
]
