import { configurationsOf, resolveAddresses, withoutConfigurations } from '../../../providers/azure/edit-document.ts'
import type { NICDocument } from '../../../providers/azure/edit-document.ts'
import type { JSONObject, ReleaseAction } from '../../../src/ipam/types.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { contextOf, driven } from './aws-node.ts'
import { objects, shownNIC, textAt, textIn, UNPROVISIONED } from './azure-machine-script.ts'
import { azureResourceOf, errorVector, instanceOf, providerOn } from './azure-provider.ts'
import { isPath, ok, page, refusal, ScriptedARM } from './azure-scripted-arm.ts'
import { adapt } from './core-arithmetic.ts'

interface CallVector {
  readonly interfaceName: string
  readonly addresses?: readonly string[]
}

/** The parts of a CIDR release: two interfaces of one machine may carry it. */
interface ReleaseInput {
  readonly cache: Readonly<Record<string, readonly string[]>>
  readonly action: { readonly interfaceId: string; readonly poolId: string; readonly cidrsToRelease: readonly string[] }
  readonly fault: string | null
}

function releaseScript({ cache, fault }: ReleaseInput): ScriptedARM {
  const configurations = (ips: readonly string[], withAddresses: boolean): JSONObject[] =>
    ['192.0.2.4', ...ips].map((ip, index) => ({
      name: `c-${ip}`,
      properties: { primary: index === 0, ...(withAddresses && { privateIPAddress: ip, ...UNPROVISIONED }) },
    }))
  const nicOf = (id: string): JSONObject => shownNIC(id, instanceOf(id), configurations(cache[id] ?? [], true))
  return new ScriptedARM(({ method, path, body }) => {
    if (method === 'PUT') return fault === null ? ok(body) : refusal(400, 'InvalidParameter')
    const ids = Object.keys(cache)
    const own = ids.find((id) => isPath(id, path))
    if (own !== undefined) return ok(nicOf(own))
    const ofMachine = ids.filter((id) => isPath(path, `${instanceOf(id)}/networkInterfaces`))
    if (ofMachine.length > 0) return page(ofMachine.map(nicOf))
    const inModel = ids.filter((id) => isPath(path, instanceOf(id)))
    if (inModel.length === 0) return undefined
    const networkInterfaceConfigurations = inModel.map((id) => ({
      name: id.slice(id.lastIndexOf('/') + 1),
      properties: { ipConfigurations: configurations(cache[id] ?? [], false) },
    }))
    return ok({
      id: path,
      properties: { ...UNPROVISIONED, networkProfileConfiguration: { networkInterfaceConfigurations } },
    })
  })
}

/** Names left on an interface when these addresses go; the vector's own documents, the provider's own edit. */
function unassign(
  nic: JSONObject,
  document: JSONObject,
  place: NICDocument,
  addresses: readonly string[],
  expected: unknown,
): JSONObject {
  const { error: wanted } = (expected ?? {}) as { readonly error?: unknown }
  try {
    const { names, missing } = resolveAddresses(nic, addresses)
    // From an interface's own document what is gone is gone; a model tells no addresses, so that none may be unknown there.
    if (missing.length > 0 && place.kind === 'scaleSetVM') throw new Error(`no configuration has ${missing.join(', ')}`)
    const edited = withoutConfigurations(document, place, names)
    return {
      putIpConfigurations:
        edited === undefined ? null : configurationsOf(edited, place).map((one) => textAt(one, 'name')),
      imageReferenceAbsent:
        edited !== undefined && textIn(edited, 'properties', 'storageProfile', 'imageReference') === undefined,
      ...(edited === undefined && { requests: 0 }),
      error: null,
    }
  } catch (error) {
    return { putIpConfigurations: null, error: errorVector(error as Error, wanted) as JSONObject }
  }
}

function cacheOf(status: unknown): JSONObject {
  return Object.fromEntries(
    objects(textIn(status, 'interfaces')).map((one) => [
      textAt(one, 'id'),
      objects(one['addresses']).map(({ ip }) => textAt({ ip }, 'ip')),
    ]),
  )
}

/** Kinds that give addresses back. */
export const azureReleaseAdapters: AdapterRegistry = {
  'unassign-vm': {
    comparison: { ordered: ['putIpConfigurations'], partial: ['error'] },
    run: adapt<{ readonly nic: JSONObject; readonly call: CallVector }>(({ nic, call }, { testCase }) =>
      unassign(nic, nic, { kind: 'standalone' }, call.addresses ?? [], testCase.expect),
    ),
  },
  'unassign-vmss': {
    comparison: { ordered: ['putIpConfigurations'], partial: ['error'] },
    run: adapt<{ readonly nic: JSONObject; readonly vm: JSONObject; readonly call: CallVector }>(
      ({ nic, vm, call }, { testCase }) =>
        unassign(nic, vm, { kind: 'scaleSetVM', nicName: call.interfaceName }, call.addresses ?? [], testCase.expect),
    ),
  },
  'release-cidrs': adapt<ReleaseInput>(async (input, { testCase }) => {
    const arm = releaseScript(input)
    const { provider, clock } = providerOn(arm)
    const ids = Object.keys(input.cache)
    const [first = ''] = ids.toSorted((a, b) => Number(/scalesets/i.test(b)) - Number(/scalesets/i.test(a)))
    const interfaces = ids.map((id) => ({
      id,
      name: id.slice(id.lastIndexOf('/') + 1),
      ip: '192.0.2.4',
      subnet: { id: input.action.poolId },
      addresses: (input.cache[id] ?? []).map((ip) => ({ ip, state: 'succeeded' })),
    }))
    const node = provider.createNode(azureResourceOf({ instanceID: instanceOf(first), interfaces }))
    const action: ReleaseAction = {
      interfaceID: input.action.interfaceId,
      poolID: input.action.poolId,
      ipsToRelease: [],
      ipPrefixesToRelease: [],
      cidrsToRelease: input.action.cidrsToRelease,
    }
    const outcome = await driven(
      node.cidrs?.releaseCIDRs(action, contextOf()) ?? Promise.reject(new Error('no release of CIDRs')),
      clock,
    )
    const [write] = arm.sent('PUT')
    const expect = testCase.expect as { readonly error?: unknown }
    return {
      released: outcome.released.length === 0 ? null : outcome.released,
      cache: cacheOf(node.populateStatusFields()?.value),
      error: outcome.error === undefined ? false : errorVector(outcome.error, expect.error),
      api:
        write === undefined ? null : /\/virtualMachineScaleSets\//i.test(write.path) ? 'unassign-vmss' : 'unassign-vm',
    }
  }),
}
