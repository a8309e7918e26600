import type { AllocationAction, JSONObject, ReleaseAction } from '../../../src/ipam/types.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { contextOf, driven } from './aws-node.ts'
import { azureResourceOf, GROUP_PATH, providerOn } from './azure-provider.ts'
import { ScriptedARM } from './azure-scripted-arm.ts'
import { adapt } from './core-arithmetic.ts'

const MACHINE = `${GROUP_PATH}/Microsoft.Compute/virtualMachineScaleSets/set/virtualMachines/0`
const NIC = `${MACHINE}/networkInterfaces/nic`

const ALLOCATION: AllocationAction = {
  interfaceID: '',
  poolID: '',
  ipv4: { availableForAllocation: 0, maxIPsToAllocate: 8, interfaceCandidates: 0 },
  ipv6: { maxPrefixesToAllocate: 0 },
  emptyInterfaceSlots: 0,
}

const RELEASE: ReleaseAction = {
  interfaceID: NIC,
  poolID: '',
  ipsToRelease: ['10.0.0.5'],
  ipPrefixesToRelease: [],
  cidrsToRelease: [],
}

/** What a cloud does not do, as it is configured by default: nothing is given back. */
export const azureUnsupportedAdapters: AdapterRegistry = {
  unsupported: {
    comparison: { partial: ['*'] },
    run: adapt<{ readonly calls: readonly string[] }>(async ({ calls }) => {
      const arm = new ScriptedARM(() => undefined)
      const { provider, clock } = providerOn(arm, { releaseExcessIPs: false })
      const interfaces = [{ id: NIC, name: 'nic', ip: '10.0.0.4', addresses: [{ ip: '10.0.0.5', state: 'succeeded' }] }]
      const node = provider.createNode(azureResourceOf({ instanceID: MACHINE.toLowerCase(), interfaces }))
      const failure = async (work: Promise<unknown>): Promise<string | null> => {
        try {
          await driven(work, clock)
          return null
        } catch {
          return 'not-implemented'
        }
      }
      const created = await (node.createInterface === undefined
        ? undefined
        : driven(node.createInterface(ALLOCATION, contextOf()), clock))
      const plan = node.prepareIPRelease(1)
      const answers: JSONObject = {
        // A cloud without it leaves the operation out, so that nobody plans it.
        createInterface: { error: created === undefined ? 'not-implemented' : created.kind, count: 0, reason: '' },
        releaseIPs: { error: await failure(node.releaseIPs(RELEASE, contextOf())) },
        prepareIPRelease: { interfaceId: plan.interfaceID, ipsToRelease: plan.ipsToRelease },
        // A cloud without blocks has no operation on them: nothing to do is no error.
        releaseIPPrefixes: {
          error: await failure(node.prefixes?.releaseIPPrefixes(RELEASE, contextOf()) ?? Promise.resolve()),
        },
        isPrefixDelegated: node.isPrefixDelegated(),
      }
      return Object.fromEntries(Object.entries(answers).filter(([name]) => calls.includes(name)))
    }),
  },
}
