import { instanceType } from '../../simulators/aws/index.ts'
import type { EC2Simulator } from '../../simulators/aws/index.ts'
import { formatIPv4 } from '../ipam/ip-range.ts'
import { GROUP_ID, VPC_ID } from './aws-network.ts'
import type { CloudAccount, LaunchedInstance } from './cloud-account.ts'
import type { ActionReport } from './report.ts'
import { PREFIX_ADDRESSES } from './world-view.ts'
import type { InterfaceView } from './world-view.ts'

/** What an instance type can carry (counts). */
export interface TypeLimits {
  readonly interfaces: number
  readonly slotsPerInterface: number
  readonly takesPrefixes: boolean
}

/** The cluster's own side of a simulated EC2 account. Machines are spread over the zones in turn. */
export class AWSAccount implements CloudAccount {
  readonly #simulator: EC2Simulator
  readonly #subnetIDs: readonly string[]
  readonly #instanceTypes: readonly string[]
  #launched = 0

  /** @param options.instanceTypes of the machines, in turn; at least one */
  constructor(
    simulator: EC2Simulator,
    options: { readonly subnetIDs: readonly string[]; readonly instanceTypes: readonly string[] },
  ) {
    this.#simulator = simulator
    this.#subnetIDs = options.subnetIDs
    this.#instanceTypes = options.instanceTypes
  }

  launch(count: number): readonly LaunchedInstance[] {
    return Array.from({ length: count }, () => this.#launchOne())
  }

  /** Metered like any call. */
  async terminate(instanceID: string, signal: AbortSignal): Promise<void> {
    await this.#call('TerminateInstances', { 'InstanceId.1': instanceID }, signal)
  }

  async occupy(leaveFree: number, signal: AbortSignal): Promise<readonly string[]> {
    const taken: string[] = []
    for (const subnetId of this.#subnetIDs) {
      const body = JSON.stringify({ subnetId, leaveFree })
      const path = '/_berth/state/occupy'
      const request = { method: 'POST', path, query: new URLSearchParams(), headers: {}, body }
      const answer = await this.#simulator.router(request, signal)
      if (answer.status !== 200 || typeof answer.body !== 'string') throw new Error(`${subnetId} cannot be filled`)
      const { networkInterfaceId } = JSON.parse(answer.body) as { networkInterfaceId: string }
      taken.push(networkInterfaceId)
    }
    return taken
  }

  /** Metered like any call. */
  async free(taken: readonly string[], signal: AbortSignal): Promise<void> {
    for (const NetworkInterfaceId of taken) await this.#call('DeleteNetworkInterface', { NetworkInterfaceId }, signal)
  }

  /** A call of somebody else than the controller. @throws Error when it is refused */
  async #call(action: string, parameters: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
    const body = new URLSearchParams({ Action: action, Version: '2016-11-15', ...parameters })
    const authorization = 'AWS4-HMAC-SHA256 Credential=autoscaler/20260101/us-east-1/ec2/aws4_request'
    const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
    const request = { method: 'POST', path: '/', query: new URLSearchParams(), headers, body: body.toString() }
    const { status } = await this.#simulator.router(request, signal)
    if (status !== 200) throw new Error(`${action} of ${Object.values(parameters).join(', ')} was answered ${status}`)
  }

  interfaces(): readonly InterfaceView[] {
    const { cloud } = this.#simulator
    return Array.from(cloud.interfaces.existing(), (iface) => {
      cloud.settle(iface)
      const { ipv4, ipv4Prefixes } = iface.addresses
      return {
        id: iface.id,
        instanceID: iface.attachment?.instance.id,
        addresses: ipv4.map(formatIPv4),
        prefixes: ipv4Prefixes.map((first) => `${formatIPv4(first)}/28`),
      }
    })
  }

  /** Calls of EC2 have their effect when they are answered. */
  isChanging(): boolean {
    return false
  }

  attempts(): Readonly<Record<string, number>> {
    const { actions } = this.#simulator.calls.report()
    return Object.fromEntries(Object.entries(actions).map(([action, { attempts }]) => [action, attempts]))
  }

  async calls(signal: AbortSignal): Promise<Readonly<Record<string, ActionReport>>> {
    const levels = await this.#bucketLevels(signal)
    const { actions } = this.#simulator.calls.report()
    return Object.fromEntries(
      Object.entries(actions).map(([action, { attempts, refused, failed }]) => {
        const bucket = levels[action] ?? levels[`${action}:unfiltered`]
        return [action, { attempts, refused, failed, ...(bucket === undefined ? {} : { bucket }) }]
      }),
    )
  }

  async #bucketLevels(signal: AbortSignal): Promise<Readonly<Record<string, { tokens: number; size: number }>>> {
    const request = { method: 'GET', path: '/_berth/throttle', query: new URLSearchParams(), headers: {}, body: '' }
    const { body } = await this.#simulator.router(request, signal)
    const { levels } = JSON.parse(typeof body === 'string' ? body : '{}') as {
      levels?: Record<string, { tokens: number; size: number }>
    }
    return levels ?? {}
  }

  #launchOne(): LaunchedInstance {
    const ordinal = this.#launched++
    // Zones change once all types have had their turn, so that each zone has its share of each type.
    const { length } = this.#instanceTypes
    const { instances } = this.#simulator.makeInstances({
      instanceType: this.#instanceTypes[ordinal % length],
      subnetId: this.#subnetIDs[Math.floor(ordinal / length) % this.#subnetIDs.length],
      count: 1,
      groupIds: [GROUP_ID],
    })
    const [made] = instances
    if (made === undefined) throw new Error('the EC2 simulator made no instance')
    return {
      instanceID: made.instanceId,
      instanceType: made.instanceType,
      vpcID: VPC_ID,
      availabilityZone: made.availabilityZone,
      subnetID: made.subnetId,
      internalIP: made.privateIpAddress,
    }
  }
}

/** @returns undefined for a type that the simulator does not know */
export function typeLimits(name: string): TypeLimits | undefined {
  const type = instanceType(name)
  if (type === undefined) return undefined
  const { adapters, ipv4, hypervisor, bareMetal } = type
  return { interfaces: adapters, slotsPerInterface: ipv4, takesPrefixes: hypervisor === 'nitro' || bareMetal }
}

/** Most addresses for pods that an instance of these limits carries (count). */
export function podAddressCapacity(
  { interfaces, slotsPerInterface, takesPrefixes }: TypeLimits,
  prefixes: boolean,
): number {
  return interfaces * (slotsPerInterface - 1) * (prefixes && takesPrefixes ? PREFIX_ADDRESSES : 1)
}
