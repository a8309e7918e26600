import { configurationsOf } from '../../../providers/azure/edit-document.ts'
import type { NICDocument } from '../../../providers/azure/edit-document.ts'
import type { AllocationAction, JSONObject } from '../../../src/ipam/types.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { contextOf, driven } from './aws-node.ts'
import { MachineScript, nicScript, textAt, textIn } from './azure-machine-script.ts'
import { azureResourceOf, errorVector, providerOn } from './azure-provider.ts'
import type { ScriptedARM } from './azure-scripted-arm.ts'
import { adapt } from './core-arithmetic.ts'

interface CallVector {
  readonly vmssName?: string
  readonly vmId?: string
  readonly interfaceName: string
  readonly subnetId?: string
  readonly count?: number
}

function allocationOf(interfaceID: string, { subnetId = '', count = 0 }: CallVector): AllocationAction {
  return {
    interfaceID,
    poolID: subnetId,
    ipv4: { availableForAllocation: count, maxIPsToAllocate: count, interfaceCandidates: 1 },
    ipv6: { maxPrefixesToAllocate: 0 },
    emptyInterfaceSlots: 0,
  }
}

const LABELS: Readonly<Record<string, string>> = {
  'GET vm': 'VirtualMachineScaleSetVMs.Get',
  'PUT vm': 'VirtualMachineScaleSetVMs.Update',
  'GET nic': 'Interfaces.Get',
  'PUT nic': 'Interfaces.CreateOrUpdate',
}

interface BodyVector {
  readonly absent?: readonly string[]
  readonly unchangedExcept?: readonly string[]
  readonly ipConfigurations?: {
    readonly interface?: string
    readonly eachAppended?: Readonly<Record<string, unknown>>
    readonly namesUnique?: boolean
  }
}

/** The requests up to the write; what follows (looks, the read of the addresses) is not in the files. */
function requestVectors(
  { requests }: ScriptedARM,
  expected: readonly { readonly body?: BodyVector }[],
  before: JSONObject,
  kind: 'vm' | 'nic',
  nicName: string,
): readonly unknown[] {
  const write = requests.findIndex(({ method }) => method === 'PUT')
  const shown = write === -1 ? requests : requests.slice(0, write + 1)
  return shown.map(({ method, path, query, body }, index) => ({
    method,
    path,
    limiterOperation: LABELS[`${method} ${kind}`],
    query: method === 'GET' && kind === 'vm' ? { $expand: query.get('$expand') } : undefined,
    ...(method === 'PUT' && {
      longRunning: true,
      body: bodyVector(expected[index]?.body ?? {}, before, body ?? {}, kind, nicName),
    }),
  }))
}

/** What the file asserts of a body, as the body really is. */
function bodyVector(
  expected: BodyVector,
  before: JSONObject,
  body: JSONObject,
  kind: 'vm' | 'nic',
  nicName: string,
): unknown {
  const place: NICDocument = kind === 'nic' ? { kind: 'standalone' } : { kind: 'scaleSetVM', nicName }
  const old = configurationsOf(before, place)
  const now = configurationsOf(body, place)
  const kept = now.slice(0, old.length)
  const appended = now.slice(old.length)
  const names = now.map((one) => textAt(one, 'name'))
  const { eachAppended = {} } = expected.ipConfigurations ?? {}
  const member = (key: string, wanted: unknown): unknown => {
    const values = appended.map((one) => appendedValue(one, key, wanted))
    return values.every((value) => JSON.stringify(value) === JSON.stringify(values[0])) ? values[0] : values
  }
  return {
    absent: (expected.absent ?? []).filter((path) => textIn(body, ...path.split('.')) === undefined),
    unchangedExcept:
      JSON.stringify(settled(before, kind)) === JSON.stringify(settled(body, kind))
        ? expected.unchangedExcept
        : ['something else'],
    ipConfigurations: {
      interface: expected.ipConfigurations?.interface === undefined ? undefined : nicName,
      keptInOrder: kept.map((one, index) =>
        JSON.stringify(one) === JSON.stringify(old[index]) ? one['name'] : 'changed',
      ),
      appended: appended.length,
      eachAppended: Object.fromEntries(Object.entries(eachAppended).map(([key, wanted]) => [key, member(key, wanted)])),
      namesUnique: new Set(names).size === names.length,
    },
    namesUnique: new Set(names).size === names.length,
  }
}

function appendedValue(configuration: JSONObject, key: string, wanted: unknown): unknown {
  if (key === 'nameMatches')
    return new RegExp(String(wanted)).test(textAt(configuration, 'name')) ? wanted : configuration['name']
  const properties = configuration['properties']
  if (key === 'absent')
    return (wanted as readonly string[]).filter((path) => textIn(properties, ...path.split('.')) === undefined)
  return textIn(properties, ...key.split('.'))
}

/** A document without what an assignment may change. */
function settled(document: JSONObject, kind: 'vm' | 'nic'): unknown {
  return JSON.parse(
    JSON.stringify(document, (key, value: unknown) =>
      key === 'ipConfigurations' || (kind === 'vm' && key === 'imageReference') ? undefined : value,
    ),
  )
}

/** Kinds that assign addresses. */
export const azureWriteAdapters: AdapterRegistry = {
  'assign-vmss': {
    comparison: {
      partial: ['requests.*', 'requests.*.body', 'requests.*.body.ipConfigurations', 'error'],
      listOrder: 'ordered',
    },
    run: adapt<{ readonly vm: JSONObject; readonly call: CallVector }>(async ({ vm, call }, { testCase, profile }) => {
      const machine = new MachineScript(vm)
      const { provider, clock } = providerOn(machine.arm, { profile })
      const interfaceID = `${machine.path}/networkInterfaces/${call.interfaceName}`
      const node = provider.createNode(
        azureResourceOf({
          instanceID: machine.path.toLowerCase(),
          interfaces: [
            { id: interfaceID, name: call.interfaceName, ip: '10.250.0.4', subnet: { id: call.subnetId ?? '' } },
          ],
        }),
      )
      const outcome = await driven(node.allocateIPs(allocationOf(interfaceID, call), contextOf()), clock)
      const expect = testCase.expect as {
        readonly requests?: readonly { body?: BodyVector }[]
        readonly error?: unknown
      }
      return {
        requests: requestVectors(machine.arm, expect.requests ?? [], vm, 'vm', call.interfaceName),
        error: errorVector(outcome.kind === 'failed' ? outcome.error : undefined, expect.error),
      }
    }),
  },
  'assign-vm': {
    comparison: {
      partial: ['requests.*', 'requests.*.body', 'requests.*.body.ipConfigurations', 'error'],
      listOrder: 'ordered',
    },
    run: adapt<{ readonly nic: JSONObject; readonly call: CallVector }>(
      async ({ nic, call }, { testCase, profile }) => {
        const arm = nicScript(nic)
        const { provider, clock } = providerOn(arm, { profile })
        const interfaceID = textAt(nic, 'id')
        const instanceID = textAt(nic, 'properties', 'virtualMachine', 'id').toLowerCase()
        const node = provider.createNode(
          azureResourceOf({
            instanceID,
            interfaces: [
              { id: interfaceID, name: call.interfaceName, ip: '10.250.0.4', subnet: { id: call.subnetId ?? '' } },
            ],
          }),
        )
        const outcome = await driven(node.allocateIPs(allocationOf(interfaceID, call), contextOf()), clock)
        const expect = testCase.expect as {
          readonly requests?: readonly { body?: BodyVector }[]
          readonly error?: unknown
        }
        return {
          requests: requestVectors(arm, expect.requests ?? [], nic, 'nic', call.interfaceName),
          error: errorVector(outcome.kind === 'failed' ? outcome.error : undefined, expect.error),
        }
      },
    ),
  },
}
