import type { CreateInterfaceOutcome, Logger } from '../../src/ipam/contracts.ts'
import { CloudAPIError, LimitsNotFoundError } from '../../src/ipam/errors.ts'
import { PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import type { AllocationAction, Limits } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { CreatedInterface, CreateInterfaceRequest } from './api.ts'
import { attach, markForDeletion, type Attachment } from './attach-interface.ts'
import { createOnce } from './create-once.ts'
import { StepFailure, type CreationDependencies, type CreationFacts } from './creation.ts'
import type { AddressReservation } from './dense-addresses.ts'
import { isChoiceRefused, wrapError } from './errors.ts'
import { isPrefixDelegated, planInterface, type InterfacePlan } from './plan.ts'
import { chooseSecurityGroups, chooseSubnet, siblingSubnets } from './plan-placement.ts'
import { isOwnRefusal, noRoom } from './subnet-room.ts'
import type { Claim } from './subnet-room.ts'

/**
 * Creates an interface, fills and attaches it. Each failed step is undone; what cannot be undone at once is retried in the
 * background. A lost answer of the creation is asked for again with the same token, so that nothing is created twice; a lost
 * answer of the attachment is settled by the attempt to delete, which EC2 refuses for an attached interface.
 *
 * That the interface goes with its instance is set afterwards, in the background: pods need not wait for it, and a failure is
 * no reason to give a working interface up. (The reference sets it before the addresses are published and deletes on failure.)
 *
 * @throws the signal's reason when aborted; what was created by then is deleted in the background
 * @source cilium pkg/aws/ipam/node.go, CreateInterface
 */
export async function createInterface(
  facts: CreationFacts,
  action: AllocationAction,
  deps: CreationDependencies,
  context: CallContext,
): Promise<CreateInterfaceOutcome> {
  let poolID = ''
  try {
    const { limits, instanceID, interfaces, spec } = facts
    if (limits === undefined)
      throw new StepFailure('unableToDetermineLimits', new LimitsNotFoundError(spec.instanceType))
    const subnet = placeInterface(facts, limits, deps.log)
    poolID = subnet
    const groupIDs = inheritOrSelectGroups(facts, deps.log)
    const wantsIPv6Prefix = action.ipv6.maxPrefixesToAllocate > 0
    const plan = planInterface(
      action.ipv4.maxIPsToAllocate,
      limits,
      isPrefixDelegated({ limits, spec, interfaces, prefixDelegation: facts.prefixDelegation }) ||
        deps.returnsToPrefixes(subnet),
    )
    if (plan.addressCount === 0 && !wantsIPv6Prefix)
      return { kind: 'created', interfaceID: '', poolID, addressCount: 0 }
    const request = {
      description: `Cilium-CNI (${instanceID})`,
      groupIDs,
      tags: facts.tags,
      wantsIPv6Prefix,
    }
    const siblings = facts.triesSiblingSubnets ? siblingSubnets(facts.infrastructure, facts.spec, subnet) : []
    const places = [subnet, ...siblings.map(({ id }) => id)] as const
    const single = planInterface(action.ipv4.maxIPsToAllocate, limits, false)
    const creation = await createInPlaces(places, request, { planned: plan, single }, deps, context)
    const { created, addressCount, reservation } = creation
    poolID = creation.poolID
    deps.beingAttached.add(created.interfaceID)
    try {
      const attachment = await attach(created, facts, deps, context)
      return await publish({ created, addressCount, poolID, attachment }, facts, deps)
    } finally {
      deps.beingAttached.delete(created.interfaceID)
      reservation?.end()
    }
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error
    const { condition, failure } = error
    const isInstanceRunning = !(failure instanceof CloudAPIError && failure.reason === 'instanceNotRunning')
    return { kind: 'failed', condition, poolID, error: failure, isInstanceRunning }
  }
}

function placeInterface({ infrastructure, spec }: CreationFacts, limits: Limits, log: Logger): string {
  const choice = chooseSubnet(infrastructure, spec, limits)
  if (choice === undefined) {
    const wanted = `VPC=${spec.vpcID} AZ=${spec.availabilityZone} SubnetIDs=[${spec.subnetIDs.join(' ')}] SubnetTags=${JSON.stringify(spec.subnetTags)}`
    throw new StepFailure(
      'unableToFindSubnet',
      new Error(`No matching subnet available for interface creation (${wanted})`),
    )
  }
  if (!choice.isRoutedLikeNode)
    log.warn(
      { poolID: choice.subnet.id, nodeSubnetID: spec.nodeSubnetID },
      'The chosen subnet shares no route table with the subnet of the node, unexpected routing is possible',
    )
  return choice.subnet.id
}

function inheritOrSelectGroups({ infrastructure, spec, interfaces }: CreationFacts, log: Logger): readonly string[] {
  const groups = chooseSecurityGroups(infrastructure.securityGroups, spec, interfaces)
  if (groups.kind === 'unknown')
    throw new StepFailure(
      'unableToGetSecurityGroups',
      new Error('unable to get security groups: failed to get security group ids'),
    )
  if (groups.hasTagsWithoutMatch)
    log.warn({ tags: spec.securityGroupTags }, 'No security group has these tags, using those of the first interface')
  return groups.groupIDs
}

type RequestBase = Omit<
  CreateInterfaceRequest,
  'subnetID' | 'addressCount' | 'prefixCount' | 'addresses' | 'clientToken'
>
type PlacedRequest = RequestBase & Pick<CreateInterfaceRequest, 'subnetID'>

interface Creation {
  readonly created: CreatedInterface
  readonly poolID: string
  /** Addresses asked for (count). */
  readonly addressCount: number
  /** Held until the interface is in the inventory. */
  readonly reservation: AddressReservation | undefined
}

/**
 * Creates with prefixes where planned, in the first of the subnets that has a free block; when none has, with single addresses in
 * the first subnet.
 *
 * @param places subnet IDs, at least one
 */
async function createInPlaces(
  places: readonly [string, ...string[]],
  base: RequestBase,
  plans: { readonly planned: InterfacePlan; readonly single: InterfacePlan },
  deps: CreationDependencies,
  context: CallContext,
): Promise<Creation> {
  const { planned, single } = plans
  const [first] = places
  if (planned.prefixCount === 0) return createOrFail({ ...base, subnetID: first }, single, deps, context)
  for (const subnetID of places) {
    try {
      return await createPlanned({ ...base, subnetID }, planned, deps, context)
    } catch (error) {
      if (!(error instanceof CloudAPIError)) throw error
      if (error.reason !== 'prefixExhausted') throw createFailure(error, subnetID, planned, deps)
      deps.onPrefixesExhausted(subnetID)
    }
  }
  deps.log.warn({ poolID: first, count: single.addressCount }, 'No free prefix in the subnet, using addresses')
  return createOrFail({ ...base, subnetID: first }, single, deps, context)
}

async function createOrFail(
  base: PlacedRequest,
  plan: InterfacePlan,
  deps: CreationDependencies,
  context: CallContext,
): Promise<Creation> {
  try {
    return await createPlanned(base, plan, deps, context)
  } catch (error) {
    if (!(error instanceof CloudAPIError)) throw error
    throw createFailure(error, base.subnetID, plan, deps)
  }
}

/**
 * With as many addresses as the subnet has left, and none that another call counts on meanwhile.
 *
 * @throws CloudAPIError; of our own where the subnet has not enough for a primary address and what makes an interface worth it
 */
async function createPlanned(
  base: PlacedRequest,
  plan: InterfacePlan,
  deps: CreationDependencies,
  context: CallContext,
): Promise<Creation> {
  const { subnetID } = base
  const { addressCount, prefixCount } = plan
  const claim = deps.claimAddresses(subnetID, 1 + (prefixCount > 0 ? prefixCount * PREFIX_SIZE : addressCount))
  if (claim === undefined) throw noRoom(subnetID, 'CreateNetworkInterface', prefixCount > 0)
  try {
    const granted = withinClaim(plan, claim.count - 1)
    if (granted === undefined) throw noRoom(subnetID, 'CreateNetworkInterface', prefixCount > 0)
    return await createFilled(base, granted, claim, deps, context)
  } finally {
    claim.end()
  }
}

/** What fits into so many addresses beside the primary one; undefined: nothing of what is wanted. */
function withinClaim({ addressCount, prefixCount }: InterfacePlan, room: number): InterfacePlan | undefined {
  if (prefixCount > 0) {
    const prefixes = Math.min(prefixCount, Math.floor(room / PREFIX_SIZE))
    return prefixes <= 0
      ? undefined
      : { addressCount: Math.min(addressCount, prefixes * PREFIX_SIZE), prefixCount: prefixes }
  }
  if (addressCount > 0 && room <= 0) return undefined
  return { addressCount: Math.min(addressCount, room), prefixCount: 0 }
}

/** With addresses of our own choice where there is one, and of EC2's where that is refused. @throws CloudAPIError */
async function createFilled(
  base: PlacedRequest,
  plan: InterfacePlan,
  { admit }: Claim,
  deps: CreationDependencies,
  context: CallContext,
): Promise<Creation> {
  const { addressCount, prefixCount } = plan
  const request = { ...base, ...plan }
  const result = { poolID: base.subnetID, addressCount }
  const reservation = deps.reserveAddresses(base.subnetID, 1 + (prefixCount > 0 ? 0 : addressCount))
  if (reservation !== undefined) {
    try {
      const created = await createOnce({ ...request, addresses: reservation.addresses }, deps, context, admit)
      return { ...result, created, reservation }
    } catch (error) {
      if (!isChoiceRefused(error)) {
        reservation.end()
        throw error
      }
      reservation.refused()
    }
  }
  return { ...result, created: await createOnce(request, deps, context, admit), reservation: undefined }
}

function createFailure(
  error: CloudAPIError,
  subnetID: string,
  plan: InterfacePlan,
  deps: CreationDependencies,
): StepFailure {
  if (error.kind === 'exhausted' && plan.prefixCount === 0 && !isOwnRefusal(error))
    deps.onSubnetExhausted(subnetID, plan.addressCount + 1)
  return new StepFailure('unableToCreateENI', wrapError('unable to create ENI', error))
}

/** Puts the attached interface into the inventory and has it marked for deletion with its instance. */
async function publish(
  result: {
    readonly created: CreatedInterface
    readonly addressCount: number
    readonly poolID: string
    readonly attachment: Attachment
  },
  facts: CreationFacts,
  deps: CreationDependencies,
): Promise<CreateInterfaceOutcome> {
  const { created, poolID, attachment } = result
  const { interfaceID, eni } = created
  if (eni !== undefined)
    deps.onAttached({ ...eni, number: attachment.deviceIndex, attachmentID: attachment.attachmentID })
  else await readUnreadable(interfaceID, facts.instanceID, deps)
  const addressCount = eni === undefined ? result.addressCount : eni.addresses.filter((ip) => ip !== eni.ip).length
  if (facts.spec.isDeletedOnTermination) markForDeletion(interfaceID, attachment.attachmentID, facts.instanceID, deps)
  deps.log.info(
    { instanceID: facts.instanceID, interfaceID, poolID, index: attachment.deviceIndex, count: addressCount },
    'Created and attached an interface',
  )
  return { kind: 'created', interfaceID, poolID, addressCount }
}

/** The creation's answer had no usable details: the interface exists all the same, so it is read. */
async function readUnreadable(interfaceID: string, instanceID: string, deps: CreationDependencies): Promise<void> {
  try {
    await deps.readInstance()
  } catch (error) {
    if (!(error instanceof CloudAPIError)) throw error
    deps.log.warn({ instanceID, interfaceID, error }, 'Cannot read a new interface, the next sync will')
  }
}
