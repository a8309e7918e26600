import type { AzureSimulator } from '../../simulators/azure/index.ts'
import { assert } from '../runtime/assert.ts'
import { formatIPv4 } from '../ipam/ip-range.ts'
import { LOCATION, MACHINES_PER_SCALE_SET } from './azure-network.ts'
import type { CloudAccount, LaunchedInstance } from './cloud-account.ts'
import { CALLER } from './cloud-facts.ts'
import type { ActionReport } from './report.ts'
import { PREFIX_ADDRESSES } from './world-view.ts'
import type { InterfaceView } from './world-view.ts'

/** The group of whoever else uses the subnets. */
const OTHERS_GROUP = 'others'
/** Most addresses of one interface (count). @source Azure documentation, networking limits */
export const ADDRESSES_PER_INTERFACE = 256
/** Zones of the region, for labels. */
const ZONE_COUNT = 3

interface BucketLevel {
  readonly tokens: number
  readonly size: number
}

/** The policy of the Compute provider that an action falls under; actions that are not here are those of the Network provider. */
const COMPUTE_POLICIES: Readonly<Record<string, string>> = {
  'VirtualMachineScaleSets.List': 'HighCostGetVMScaleSet',
  'VirtualMachineScaleSetVMs.Get': 'GetVMScaleSetVM',
  'VirtualMachineScaleSetVMs.Update': 'UpdateVMScaleSetVM',
  'VirtualMachines.Get': 'LowCostGetVM',
  'Operations.GetCompute': 'GetOperation',
  'OperationResults.GetCompute': 'GetOperation',
}

/** Whether an action writes. */
export function isWrite(action: string): boolean {
  return /\.(Update|CreateOrUpdate|Delete)$/.test(action)
}

/** The cluster's own side of a simulated subscription. Machines are those of uniform scale sets, a thousand in each. */
export class AzureAccount implements CloudAccount {
  readonly #simulator: AzureSimulator
  readonly #subnetIDs: readonly string[]
  readonly #instanceTypes: readonly string[]
  #launched = 0

  /**
   * @param options.subnetIDs one for each thousand machines; further machines begin with the first again
   * @param options.instanceTypes of the machines, in turn; at least one
   */
  constructor(
    simulator: AzureSimulator,
    options: { readonly subnetIDs: readonly string[]; readonly instanceTypes: readonly string[] },
  ) {
    this.#simulator = simulator
    this.#subnetIDs = options.subnetIDs
    this.#instanceTypes = options.instanceTypes
  }

  launch(count: number): readonly LaunchedInstance[] {
    return Array.from({ length: count }, () => this.#launchOne())
  }

  /** Through the control door: the simulator has no call for it. */
  terminate(instanceID: string): Promise<void> {
    this.#simulator.deleteInstances({ ids: [instanceID] })
    return Promise.resolve()
  }

  /** Machines of another group take them, so that no list of the cluster's own group shows them. Not metered. */
  occupy(leaveFree: number): Promise<readonly string[]> {
    const taken: string[] = []
    for (const subnetID of this.#subnetIDs) {
      const subnet = this.#simulator.cloud.subnets.get(subnetID.toLowerCase())
      assert(subnet !== undefined, 'the plan has made its subnets')
      const wanted = Math.max(subnet.space.free - leaveFree, 0)
      const rest = wanted % ADDRESSES_PER_INTERFACE
      taken.push(...this.#fill(subnetID, Math.floor(wanted / ADDRESSES_PER_INTERFACE), ADDRESSES_PER_INTERFACE))
      if (rest > 0) taken.push(...this.#fill(subnetID, 1, rest))
    }
    return Promise.resolve(taken)
  }

  /** Not metered. */
  free(taken: readonly string[]): Promise<void> {
    this.#simulator.deleteInstances({ ids: [...taken] })
    return Promise.resolve()
  }

  interfaces(): readonly InterfaceView[] {
    const { cloud } = this.#simulator
    cloud.settle()
    return Array.from(cloud.nics.values(), ({ id, owner, configurations }) => {
      const singles = configurations.filter(({ addressCount }) => addressCount === 1)
      const blocks = configurations.filter(({ addressCount }) => addressCount > 1)
      const primaryFirst = singles.toSorted((left, right) => Number(right.primary) - Number(left.primary))
      return {
        id,
        instanceID: owner?.key,
        addresses: primaryFirst.map(({ address }) => formatIPv4(address)),
        prefixes: blocks.map(({ address }) => `${formatIPv4(address)}/${32 - Math.log2(PREFIX_ADDRESSES)}`),
      }
    })
  }

  isChanging(instanceID: string): boolean {
    const { cloud } = this.#simulator
    cloud.settle()
    return cloud.scaleSetVMs.get(instanceID)?.operation !== undefined
  }

  attempts(): Readonly<Record<string, number>> {
    const { actions } = this.#simulator.calls.report()
    return Object.fromEntries(Object.entries(actions).map(([action, { attempts }]) => [action, attempts]))
  }

  /** Buckets of single machines are left out: what one of them lacks holds up that machine alone. */
  async calls(signal: AbortSignal): Promise<Readonly<Record<string, ActionReport>>> {
    const levels = await this.#bucketLevels(signal)
    const { actions } = this.#simulator.calls.report()
    return Object.fromEntries(
      Object.entries(actions).map(([action, { attempts, refused, failed }]) => {
        const bucket = scarcest(sharedBuckets(action).flatMap((name) => levels[name] ?? []))
        return [action, { attempts, refused, failed, ...(bucket === undefined ? {} : { bucket }) }]
      }),
    )
  }

  async #bucketLevels(signal: AbortSignal): Promise<Readonly<Record<string, BucketLevel>>> {
    const request = { method: 'GET', path: '/_berth/throttle', query: new URLSearchParams(), headers: {}, body: '' }
    const { body } = await this.#simulator.router(request, signal)
    const { levels } = JSON.parse(typeof body === 'string' ? body : '{}') as { levels?: Record<string, BucketLevel> }
    return levels ?? {}
  }

  #fill(subnetId: string, count: number, addresses: number): readonly string[] {
    if (count === 0) return []
    const { instances } = this.#simulator.makeInstances({
      kind: 'standalone',
      resourceGroup: OTHERS_GROUP,
      subnetId,
      count,
      secondaryAddresses: addresses - 1,
    })
    return instances.map(({ id }) => id)
  }

  #launchOne(): LaunchedInstance {
    const ordinal = this.#launched++
    const pool = Math.floor(ordinal / MACHINES_PER_SCALE_SET)
    const vmSize = this.#instanceTypes[ordinal % this.#instanceTypes.length] ?? ''
    const sizes = [...new Set(this.#instanceTypes)]
    // All machines of a scale set are of one size.
    const suffix = sizes.length > 1 ? `-${sizes.indexOf(vmSize) + 1}` : ''
    const { instances } = this.#simulator.makeInstances({
      kind: 'uniform',
      scaleSet: `np${pool + 1}${suffix}`,
      vmSize,
      subnetId: this.#subnetIDs[pool % this.#subnetIDs.length],
      count: 1,
    })
    const [made] = instances
    if (made === undefined) throw new Error('the Azure simulator made no machine')
    return {
      cloud: 'azure',
      instanceID: made.id.toLowerCase(),
      instanceType: made.vmSize,
      vpcID: made.subnetId.replace(/\/subnets\/.*$/, ''),
      availabilityZone: `${LOCATION}-${(ordinal % ZONE_COUNT) + 1}`,
      subnetID: made.subnetId,
      internalIP: made.privateIPAddress,
    }
  }
}

/** Buckets that an action shares with those of other machines, as the simulator names them. */
function sharedBuckets(action: string): readonly string[] {
  const kind = isWrite(action) ? 'writes' : 'reads'
  const policy = COMPUTE_POLICIES[action]
  const provider = policy === undefined ? `Microsoft.Network/${kind}` : `Microsoft.Compute/${policy}/subscription`
  return [`subscription-${kind}/${CALLER}`, `subscription-global-${kind}`, provider]
}

function scarcest(levels: readonly BucketLevel[]): BucketLevel | undefined {
  const share = ({ tokens, size }: BucketLevel): number => (size === 0 ? 0 : tokens / size)
  return levels.toSorted((left, right) => share(left) - share(right))[0]
}
