import {
  AssignIpv6AddressesCommand,
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  AttachNetworkInterfaceCommand,
  CreateNetworkInterfaceCommand,
  DeleteNetworkInterfaceCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSubnetsCommand,
  ModifyNetworkInterfaceAttributeCommand,
  UnassignPrivateIpAddressesCommand,
  type CreateNetworkInterfaceCommandInput,
  type DescribeNetworkInterfacesCommandInput,
  type DescribeNetworkInterfacesCommandOutput,
  type DescribeSubnetsCommandOutput,
  type EC2Client,
  type NetworkInterface,
} from '@aws-sdk/client-ec2'
import type { DryRunObserver, InterfaceTally } from '../../src/ipam/dry-run-observer.ts'
import { PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import type { EC2Action } from './buckets.ts'
import { ImaginaryInterfaces } from './imaginary-interfaces.ts'

const NOTHING: InterfaceTally = { interfaces: 0, addresses: 0, released: 0 }

/** Answers of calls that had no output of interest, in the SDK's form. */
const DONE = { $metadata: { httpStatusCode: 200 } }

/** Whether the page is of a listing that would show attached interfaces that exist only in the dry run. */
type Listed = (iface: NetworkInterface) => boolean

/**
 * A client that reads for real and only pretends to change: every changing call is answered as EC2 would answer it, from an
 * imaginary account, and nothing of it is sent. Listings show the account as it would be. So the provider plans on as if its calls
 * had been made, and the calls that a real run would make can be counted.
 */
export function dryRunClient(client: Pick<EC2Client, 'send'>, observer: DryRunObserver): Pick<EC2Client, 'send'> {
  const account = new DryRunAccount(client, observer)
  // The SDK's `send` has an overload for each command: what comes back is the command's own output.
  return {
    send: (command: object, options?: object) => account.send(command, options) as never,
  }
}

class DryRunAccount {
  readonly #client: Pick<EC2Client, 'send'>
  readonly #observer: DryRunObserver
  readonly #interfaces: ImaginaryInterfaces
  #ipv6Count = 0

  constructor(client: Pick<EC2Client, 'send'>, observer: DryRunObserver) {
    this.#client = client
    this.#observer = observer
    this.#interfaces = new ImaginaryInterfaces((instanceID, tally) => observer.observed(instanceID, tally))
  }

  async send(command: object, options: object | undefined): Promise<object> {
    if (command instanceof DescribeNetworkInterfacesCommand) return this.#list(command, options)
    if (command instanceof DescribeSubnetsCommand) return this.#listSubnets(command, options)
    return this.#pretend(command) ?? this.#pass(command, options)
  }

  /** @throws Error for a command that changes something and is not pretended */
  #pass(command: object, options: object | undefined): Promise<object> {
    const { name } = command.constructor
    if (!/^(Describe|Get)\w+Command$/.test(name))
      throw new Error(`${name} is not known to the dry run: nothing was sent`)
    const send = this.#client.send.bind(this.#client) as unknown as (one: object, how?: object) => Promise<object>
    return send(command, options)
  }

  async #list(command: DescribeNetworkInterfacesCommand, options: object | undefined): Promise<object> {
    const output = (await this.#pass(command, options)) as DescribeNetworkInterfacesCommandOutput
    if (output.NetworkInterfaces === undefined) return output
    const page = this.#interfaces.overlay(output.NetworkInterfaces)
    const isLast = (output.NextToken ?? '') === ''
    const imagined = isLast ? this.#interfaces.imagined(listedBy(command.input, page)) : []
    return { ...output, NetworkInterfaces: [...page, ...imagined] }
  }

  async #listSubnets(command: DescribeSubnetsCommand, options: object | undefined): Promise<object> {
    const output = (await this.#pass(command, options)) as DescribeSubnetsCommandOutput
    for (const { SubnetId = '', CidrBlock = '' } of output.Subnets ?? [])
      this.#interfaces.space.learn(SubnetId, CidrBlock)
    return output
  }

  /** @returns undefined for a command that changes nothing */
  #pretend(command: object): object | undefined {
    if (command instanceof AssignPrivateIpAddressesCommand) return this.#assign(command)
    if (command instanceof CreateNetworkInterfaceCommand) return this.#create(command.input)
    if (command instanceof AttachNetworkInterfaceCommand) return this.#attach(command)
    if (command instanceof UnassignPrivateIpAddressesCommand) return this.#unassign(command)
    if (command instanceof DeleteNetworkInterfaceCommand) {
      const { NetworkInterfaceId: id = '' } = command.input
      this.#planned('DeleteNetworkInterface', this.#interfaces.instanceOf(id))
      this.#interfaces.delete(id)
      return DONE
    }
    if (command instanceof ModifyNetworkInterfaceAttributeCommand) {
      this.#planned(
        'ModifyNetworkInterfaceAttribute',
        this.#interfaces.instanceOf(command.input.NetworkInterfaceId ?? ''),
      )
      return DONE
    }
    if (command instanceof AssignIpv6AddressesCommand) {
      this.#planned('AssignIpv6Addresses', this.#interfaces.instanceOf(command.input.NetworkInterfaceId ?? ''))
      // From the range for documentation (RFC 3849); listings do not show it.
      return { ...DONE, AssignedIpv6Prefixes: [`2001:db8:d:${(this.#ipv6Count += 1).toString(16)}::/80`] }
    }
    if (command instanceof AssociateAddressCommand) {
      this.#planned('AssociateAddress', this.#interfaces.instanceOf(command.input.NetworkInterfaceId ?? ''))
      return { ...DONE, AssociationId: 'eipassoc-d' }
    }
    return undefined
  }

  #assign({ input }: AssignPrivateIpAddressesCommand): object {
    const { NetworkInterfaceId: id = '', Ipv4PrefixCount = 0, SecondaryPrivateIpAddressCount: count = 0 } = input
    const subnetID = this.#interfaces.subnetOf(id)
    const instanceID = this.#interfaces.instanceOf(id)
    const prefixes = this.#blocks(subnetID, Ipv4PrefixCount)
    const addresses = input.PrivateIpAddresses ?? this.#addresses(subnetID, count)
    for (const address of addresses) this.#interfaces.space.take(subnetID, address)
    this.#interfaces.add(id, { addresses, prefixes })
    const size = addresses.length + PREFIX_SIZE * prefixes.length
    this.#planned('AssignPrivateIpAddresses', instanceID, { ...NOTHING, addresses: size })
    return {
      ...DONE,
      NetworkInterfaceId: id,
      AssignedPrivateIpAddresses: addresses.map((PrivateIpAddress) => ({ PrivateIpAddress })),
      AssignedIpv4Prefixes: prefixes.map((Ipv4Prefix) => ({ Ipv4Prefix })),
    }
  }

  #create(input: CreateNetworkInterfaceCommandInput): object {
    const { SubnetId: subnetID = '', Ipv4PrefixCount = 0, SecondaryPrivateIpAddressCount: count = 0 } = input
    const named = (input.PrivateIpAddresses ?? []).flatMap(({ PrivateIpAddress }) => PrivateIpAddress ?? [])
    const prefixes = this.#blocks(subnetID, Ipv4PrefixCount)
    const wanted = input.PrivateIpAddress === undefined ? named : [input.PrivateIpAddress]
    const addresses = wanted.length > 0 ? wanted : this.#addresses(subnetID, 1 + count)
    for (const address of addresses) this.#interfaces.space.take(subnetID, address)
    const iface = this.#interfaces.create({
      SubnetId: subnetID,
      PrivateIpAddress: addresses[0],
      PrivateIpAddresses: addresses.map((PrivateIpAddress, index) => ({ PrivateIpAddress, Primary: index === 0 })),
      Ipv4Prefixes: prefixes.map((Ipv4Prefix) => ({ Ipv4Prefix })),
      Description: input.Description,
      Groups: (input.Groups ?? []).map((GroupId) => ({ GroupId })),
      TagSet: (input.TagSpecifications ?? []).flatMap(({ Tags = [] }) => Tags),
    })
    this.#planned('CreateNetworkInterface', '')
    return { ...DONE, NetworkInterface: structuredClone(iface) }
  }

  #attach({ input }: AttachNetworkInterfaceCommand): object {
    const { NetworkInterfaceId: id = '', InstanceId = '', DeviceIndex, NetworkCardIndex } = input
    const AttachmentId = `eni-attach-${id.slice('eni-'.length)}`
    this.#interfaces.attach(id, { InstanceId, DeviceIndex, NetworkCardIndex, AttachmentId, Status: 'attached' })
    const addresses = this.#interfaces.secondaryCount(id)
    this.#planned('AttachNetworkInterface', InstanceId, { interfaces: 1, addresses, released: 0 })
    return { ...DONE, AttachmentId }
  }

  #unassign({ input }: UnassignPrivateIpAddressesCommand): object {
    const { NetworkInterfaceId: id = '', PrivateIpAddresses = [], Ipv4Prefixes = [] } = input
    const subnetID = this.#interfaces.subnetOf(id)
    const released = PrivateIpAddresses.length + PREFIX_SIZE * Ipv4Prefixes.length
    this.#planned('UnassignPrivateIpAddresses', this.#interfaces.instanceOf(id), { ...NOTHING, released })
    this.#interfaces.remove(id, [...PrivateIpAddresses, ...Ipv4Prefixes])
    for (const address of PrivateIpAddresses) this.#interfaces.space.free(subnetID, address)
    for (const prefix of Ipv4Prefixes) this.#interfaces.space.freeBlock(subnetID, prefix)
    return DONE
  }

  /** @throws what EC2 would answer */
  #addresses(subnetID: string, count: number): readonly string[] {
    if (count === 0) return []
    const found = this.#interfaces.space.addresses(subnetID, count)
    if (found === undefined)
      throw refusal('InsufficientFreeAddressesInSubnet', `${subnetID} has not ${count} free addresses`)
    return found
  }

  /** @throws what EC2 would answer */
  #blocks(subnetID: string, count: number): readonly string[] {
    if (count === 0) return []
    const found = this.#interfaces.space.blocks(subnetID, count)
    if (found === undefined) throw refusal('InsufficientCidrBlocks', `${subnetID} has not ${count} free /28 blocks`)
    return found
  }

  #planned(action: EC2Action, instanceID: string, tally = NOTHING): void {
    this.#observer.planned(action, instanceID, tally)
  }
}

/** A refusal in the form in which the SDK throws it. */
function refusal(code: string, message: string): Error {
  return Object.assign(new Error(message), { name: code, $fault: 'client', $metadata: { httpStatusCode: 400 } })
}

/**
 * Only the filters that the provider uses. A listing by IDs shows what is imagined beside the first interface of an instance; one of
 * what hangs on nothing shows nothing imagined.
 */
function listedBy(
  { Filters = [], NetworkInterfaceIds }: DescribeNetworkInterfacesCommandInput,
  page: readonly NetworkInterface[],
): Listed {
  const values = (name: string): readonly string[] | undefined => Filters.find(({ Name }) => Name === name)?.Values
  if (values('status') !== undefined) return () => false
  const firsts = page.filter(({ Attachment }) => Attachment?.DeviceIndex === 0)
  const listed = firsts.flatMap(({ Attachment }) => Attachment?.InstanceId ?? [])
  const instances = NetworkInterfaceIds === undefined ? values('attachment.instance-id') : listed
  const subnets = values('subnet-id')
  return ({ Attachment, SubnetId = '' }) =>
    (instances === undefined || instances.includes(Attachment?.InstanceId ?? '')) &&
    (subnets === undefined || subnets.includes(SubnetId))
}
