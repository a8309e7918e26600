import {
  AssignIpv6AddressesCommand,
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  AttachNetworkInterfaceCommand,
  CreateNetworkInterfaceCommand,
  DeleteNetworkInterfaceCommand,
  DescribeAddressesCommand,
  ModifyNetworkInterfaceAttributeCommand,
  UnassignPrivateIpAddressesCommand,
  type CreateNetworkInterfaceCommandInput,
  type EC2Client,
} from '@aws-sdk/client-ec2'
import type { DestructionSubject, DestructiveContext } from '../../src/ipam/destruction.ts'
import type { Tags } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { EC2Caller, requestFilters, type Admission, type EC2CallerDependencies } from './ec2-caller.ts'
import { unusableAnswer } from './errors.ts'
import { tagFilters } from './filters.ts'
import { EC2Listings } from './listings.ts'
import { parseInterface, type ListedInterface } from './parse-interface.ts'

/** What a new interface is created with. */
export interface CreateInterfaceRequest {
  readonly subnetID: string
  readonly description: string
  readonly groupIDs: readonly string[]
  readonly tags: Tags
  /** Secondary addresses (count), unless `prefixCount` is positive. */
  readonly addressCount: number
  readonly prefixCount: number
  /** The primary address, then the secondary ones unless there are prefixes; absent: EC2 chooses. */
  readonly addresses?: readonly string[]
  readonly wantsIPv6Prefix: boolean
  /** The same token and parameters never create twice (at most 64 ASCII characters). */
  readonly clientToken: string
}

/** A created interface; details are absent when the answer had them malformed. */
export interface CreatedInterface {
  readonly interfaceID: string
  /** When the answer came (monotonic ms). */
  readonly answeredAtMs: number
  readonly eni: ListedInterface['eni'] | undefined
}

/**
 * EC2, narrowed to the calls of this provider.
 *
 * A caller that gives up stops waiting for its turn and for reads; a write that is on its way is always waited for, because
 * its effect has to be recorded or undone.
 *
 * @source cilium pkg/aws/ec2/ec2.go
 */
export class EC2API {
  readonly listings: EC2Listings
  readonly #caller: EC2Caller
  readonly #client: Pick<EC2Client, 'send'>
  readonly #clock: Clock

  /** @param pageSize `maxResultsPerCall`: items a page (count); 0 = unpaged until EC2 refuses it */
  constructor(deps: EC2CallerDependencies, pageSize: number) {
    this.#caller = new EC2Caller(deps, pageSize)
    this.#client = deps.client
    this.#clock = deps.clock
    this.listings = new EC2Listings(this.#caller, deps.client, deps.log)
  }

  /** Items a page at present (count); 0 = unpaged. */
  get pageSize(): number {
    return this.#caller.pageSize
  }

  /** @throws CloudAPIError: kind `unavailable` = it may exist; repeat with the same token to find out */
  async createNetworkInterface(
    request: CreateInterfaceRequest,
    context: CallContext,
    admit?: Admission,
  ): Promise<CreatedInterface> {
    const output = await this.#caller.call(
      'CreateNetworkInterface',
      context,
      () =>
        this.#client.send(
          new CreateNetworkInterfaceCommand({
            SubnetId: request.subnetID,
            Description: request.description,
            Groups: [...request.groupIDs],
            ...addressParameters(request),
            ...(request.wantsIPv6Prefix && { Ipv6PrefixCount: 1 }),
            ...(Object.keys(request.tags).length > 0 && {
              TagSpecifications: [
                {
                  ResourceType: 'network-interface',
                  Tags: Object.entries(request.tags).map(([Key, Value]) => ({ Key, Value })),
                },
              ],
            }),
            ClientToken: request.clientToken,
          }),
        ),
      true,
      admit,
    )
    const interfaceID = output.NetworkInterface?.NetworkInterfaceId
    if (output.NetworkInterface === undefined || interfaceID === undefined)
      throw unusableAnswer('CreateNetworkInterface', 'network interface')
    const parsed = parseInterface(output.NetworkInterface)
    return {
      interfaceID,
      answeredAtMs: this.#clock.now(),
      eni: parsed.kind === 'parsed' ? parsed.listed.eni : undefined,
    }
  }

  /** @returns the attachment's ID. @throws CloudAPIError: kind `unavailable` = it may be attached */
  async attachNetworkInterface(
    attachment: { readonly interfaceID: string; readonly instanceID: string; readonly deviceIndex: number },
    context: CallContext,
  ): Promise<string> {
    const output = await this.#caller.call('AttachNetworkInterface', context, () =>
      this.#client.send(
        new AttachNetworkInterfaceCommand({
          NetworkInterfaceId: attachment.interfaceID,
          InstanceId: attachment.instanceID,
          DeviceIndex: attachment.deviceIndex,
          // Explicit: without it EC2 may pick another card, where the index is taken (cilium/cilium#42512).
          NetworkCardIndex: 0,
        }),
      ),
    )
    if (output.AttachmentId === undefined) throw unusableAnswer('AttachNetworkInterface', 'attachment ID')
    return output.AttachmentId
  }

  /** Makes the interface go with its instance. Idempotent. @throws CloudAPIError */
  async setDeleteOnTermination(interfaceID: string, attachmentID: string, context: CallContext): Promise<void> {
    await this.#caller.call('ModifyNetworkInterfaceAttribute', context, () =>
      this.#client.send(
        new ModifyNetworkInterfaceAttributeCommand({
          NetworkInterfaceId: interfaceID,
          Attachment: { AttachmentId: attachmentID, DeleteOnTermination: true },
        }),
      ),
    )
  }

  /**
   * EC2 refuses it for an attached interface.
   *
   * @param of whose it was to be, where that is known
   * @throws CloudAPIError
   */
  async deleteNetworkInterface(
    interfaceID: string,
    context: DestructiveContext,
    of: DestructionSubject = {},
  ): Promise<void> {
    await this.#caller.destroy('DeleteNetworkInterface', { ...of, interfaceID }, context, () =>
      this.#client.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId: interfaceID })),
    )
  }

  /**
   * @param wanted how many (count), or which ones
   * @param admit asked when it is the call's turn
   * @returns the addresses that EC2 says it assigned
   * @throws CloudAPIError: kind `unavailable` = it may have; `taken` = one of the named ones is in use
   */
  async assignPrivateIPAddresses(
    interfaceID: string,
    wanted: number | readonly string[],
    context: CallContext,
    admit?: Admission,
  ): Promise<readonly string[]> {
    const command = new AssignPrivateIpAddressesCommand({
      NetworkInterfaceId: interfaceID,
      ...(typeof wanted === 'number'
        ? { SecondaryPrivateIpAddressCount: wanted }
        : { PrivateIpAddresses: [...wanted] }),
    })
    const send = () => this.#client.send(command)
    const output = await this.#caller.call('AssignPrivateIpAddresses', context, send, true, admit)
    if (output.AssignedPrivateIpAddresses === undefined)
      throw unusableAnswer('AssignPrivateIpAddresses', 'list of assigned addresses')
    return output.AssignedPrivateIpAddresses.flatMap(({ PrivateIpAddress }) => PrivateIpAddress ?? [])
  }

  /**
   * @param admit asked when it is the call's turn
   * @returns the /28 blocks that EC2 says it assigned
   * @throws CloudAPIError: kind `unavailable` = it may have
   */
  async assignIPv4Prefixes(
    interfaceID: string,
    count: number,
    context: CallContext,
    admit?: Admission,
  ): Promise<readonly string[]> {
    const command = new AssignPrivateIpAddressesCommand({ NetworkInterfaceId: interfaceID, Ipv4PrefixCount: count })
    const send = () => this.#client.send(command)
    const output = await this.#caller.call('AssignPrivateIpAddresses', context, send, true, admit)
    if (output.AssignedIpv4Prefixes === undefined)
      throw unusableAnswer('AssignPrivateIpAddresses', 'list of assigned prefixes')
    return output.AssignedIpv4Prefixes.flatMap(({ Ipv4Prefix }) => Ipv4Prefix ?? [])
  }

  /** One /80 block. @returns the blocks that EC2 says it assigned. @throws CloudAPIError */
  async assignIPv6Prefix(interfaceID: string, context: CallContext): Promise<readonly string[]> {
    const output = await this.#caller.call('AssignIpv6Addresses', context, () =>
      this.#client.send(new AssignIpv6AddressesCommand({ NetworkInterfaceId: interfaceID, Ipv6PrefixCount: 1 })),
    )
    return output.AssignedIpv6Prefixes ?? []
  }

  /** @throws CloudAPIError: kind `unavailable` = they may be gone */
  async unassignPrivateIPAddresses(
    interfaceID: string,
    addresses: readonly string[],
    context: DestructiveContext,
    of: DestructionSubject = {},
  ): Promise<void> {
    await this.#caller.destroy('UnassignPrivateIpAddresses', { ...of, interfaceID, addresses }, context, () =>
      this.#client.send(
        new UnassignPrivateIpAddressesCommand({ NetworkInterfaceId: interfaceID, PrivateIpAddresses: [...addresses] }),
      ),
    )
  }

  /** @throws CloudAPIError: kind `unavailable` = they may be gone */
  async unassignIPv4Prefixes(
    interfaceID: string,
    prefixes: readonly string[],
    context: DestructiveContext,
    of: DestructionSubject = {},
  ): Promise<void> {
    await this.#caller.destroy('UnassignPrivateIpAddresses', { ...of, interfaceID, cidrs: prefixes }, context, () =>
      this.#client.send(
        new UnassignPrivateIpAddressesCommand({ NetworkInterfaceId: interfaceID, Ipv4Prefixes: [...prefixes] }),
      ),
    )
  }

  /**
   * Binds the first free Elastic IP with these tags to the interface. When that one cannot be had, no other is tried.
   *
   * @returns the public address
   * @throws CloudAPIError, or Error when no tags are given or no address is free
   * @source cilium pkg/aws/ec2/ec2.go, AssociateEIP
   */
  async associateElasticIP(interfaceID: string, tags: Tags, context: CallContext): Promise<string> {
    if (Object.keys(tags).length === 0) throw new Error('no EIP tags were provided')
    const found = await this.#caller.call('DescribeAddresses', context, () =>
      this.#client.send(new DescribeAddressesCommand(requestFilters(tagFilters(tags))), {
        abortSignal: context.signal,
      }),
    )
    if (found.Addresses === undefined) throw unusableAnswer('DescribeAddresses', 'list of addresses')
    const free = found.Addresses.find(({ AssociationId }) => (AssociationId ?? '') === '')
    if (free === undefined) throw new Error(`no unassociated EIPs found for tags ${JSON.stringify(tags)}`)
    await this.#caller.call('AssociateAddress', context, () =>
      this.#client.send(
        new AssociateAddressCommand({
          AllocationId: free.AllocationId,
          NetworkInterfaceId: interfaceID,
          AllowReassociation: false,
        }),
      ),
    )
    return free.PublicIp ?? ''
  }
}

/** How a new interface is filled. */
function addressParameters({
  addresses = [],
  addressCount,
  prefixCount,
}: CreateInterfaceRequest): Partial<CreateNetworkInterfaceCommandInput> {
  const [primary, ...secondary] = addresses
  if (prefixCount > 0)
    return { Ipv4PrefixCount: prefixCount, ...(primary !== undefined && { PrivateIpAddress: primary }) }
  if (primary === undefined) return { SecondaryPrivateIpAddressCount: addressCount }
  return {
    PrivateIpAddresses: [
      { PrivateIpAddress: primary, Primary: true },
      ...secondary.map((PrivateIpAddress) => ({ PrivateIpAddress, Primary: false })),
    ],
  }
}
