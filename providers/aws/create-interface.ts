import type { CreateInterfaceCondition, CreateInterfaceOutcome, Logger } from '../../src/ipam/contracts.ts'
import { CloudAPIError, LimitsNotFoundError } from '../../src/ipam/errors.ts'
import type { AllocationAction, Limits } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { CreatedInterface, CreateInterfaceRequest, EC2API } from './api.ts'
import { createOnce, REPEAT_WAIT_MS, undoCreation, type SafeCreationDependencies } from './create-once.ts'
import { wrapError } from './errors.ts'
import { isPrefixDelegated, nextDeviceIndex, planInterface, type InterfacePlan } from './plan.ts'
import { chooseSecurityGroups, chooseSubnet, type Infrastructure } from './plan-placement.ts'
import type { ENI, ENISpec } from './types.ts'

/** Attachments tried while the device index turns out to be taken (count). @source cilium pkg/aws/ipam/node.go, maxAttachRetries */
const ATTACH_ATTEMPTS = 5
/** Attachments tried while EC2 does not show the new interface yet (count), with the same waits. A choice. */
const VISIBILITY_ATTEMPTS = 4

/** Everything about one node that a creation depends on, read at its start. */
export interface CreationFacts {
  readonly instanceID: string
  readonly spec: ENISpec
  readonly limits: Limits | undefined
  /** The node's view. */
  readonly interfaces: readonly ENI[]
  readonly prefixDelegation: boolean
  readonly infrastructure: Infrastructure
  /** Tags of every created interface. */
  readonly tags: Readonly<Record<string, string>>
}

export interface CreationDependencies extends SafeCreationDependencies {
  readonly log: Logger
  /** The interface hangs on the instance: it belongs into the inventory. */
  readonly onAttached: (eni: ENI) => void
  /** The subnet refused so many single addresses (count). */
  readonly onSubnetExhausted: (subnetID: string, refusedCount: number) => void
  /** Interfaces created and about to be attached, by ID: garbage collection keeps off them. */
  readonly beingAttached: Set<string>
  /** Reads the node's instance into the inventory. @throws CloudAPIError */
  readonly readInstance: () => Promise<void>
}

/** A step failed. Never leaves this file. */
class StepFailure extends Error {
  readonly condition: CreateInterfaceCondition
  readonly failure: Error

  constructor(condition: CreateInterfaceCondition, failure: Error) {
    super(failure.message)
    this.condition = condition
    this.failure = failure
  }
}

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
      isPrefixDelegated({ limits, spec, interfaces, prefixDelegation: facts.prefixDelegation }),
    )
    if (plan.addressCount === 0 && !wantsIPv6Prefix)
      return { kind: 'created', interfaceID: '', poolID, addressCount: 0 }
    const request = {
      subnetID: subnet,
      description: `Cilium-CNI (${instanceID})`,
      groupIDs,
      tags: facts.tags,
      wantsIPv6Prefix,
    }
    const { created, addressCount } = await createInSubnet(request, plan, action, limits, deps, context)
    deps.beingAttached.add(created.interfaceID)
    try {
      const attachment = await attach(created, facts, deps, context)
      return await publish({ created, addressCount, poolID, attachment }, facts, deps)
    } finally {
      deps.beingAttached.delete(created.interfaceID)
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

type RequestBase = Omit<CreateInterfaceRequest, 'addressCount' | 'prefixCount' | 'clientToken'>

/** Creates with prefixes where planned, and with single addresses where the subnet has no free block. */
async function createInSubnet(
  base: RequestBase,
  plan: InterfacePlan,
  action: AllocationAction,
  limits: Limits,
  deps: CreationDependencies,
  context: CallContext,
): Promise<{ readonly created: CreatedInterface; readonly addressCount: number }> {
  try {
    return { created: await createOnce({ ...base, ...plan }, deps, context), addressCount: plan.addressCount }
  } catch (error) {
    if (!(error instanceof CloudAPIError)) throw error
    if (plan.prefixCount === 0 || error.reason !== 'prefixExhausted') throw createFailure(error, base, plan, deps)
  }
  const single = planInterface(action.ipv4.maxIPsToAllocate, limits, false)
  deps.log.warn({ poolID: base.subnetID, count: single.addressCount }, 'No free prefix in the subnet, using addresses')
  try {
    return { created: await createOnce({ ...base, ...single }, deps, context), addressCount: single.addressCount }
  } catch (error) {
    if (!(error instanceof CloudAPIError)) throw error
    throw createFailure(error, base, single, deps)
  }
}

function createFailure(
  error: CloudAPIError,
  { subnetID }: RequestBase,
  plan: InterfacePlan,
  deps: CreationDependencies,
): StepFailure {
  if (error.kind === 'exhausted' && plan.prefixCount === 0) deps.onSubnetExhausted(subnetID, plan.addressCount + 1)
  return new StepFailure('unableToCreateENI', wrapError('unable to create ENI', error))
}

interface Attachment {
  readonly deviceIndex: number
  /** Empty when the answer that had it was lost. */
  readonly attachmentID: string
}

async function attach(
  created: CreatedInterface,
  facts: CreationFacts,
  deps: CreationDependencies,
  context: CallContext,
): Promise<Attachment> {
  const { interfaceID } = created
  let deviceIndex = nextDeviceIndex(facts.interfaces, facts.spec.firstInterfaceIndex ?? 0)
  let conflicts = 0
  let misses = 0
  for (;;) {
    try {
      const attachment = { interfaceID, instanceID: facts.instanceID, deviceIndex }
      return { deviceIndex, attachmentID: await deps.api.attachNetworkInterface(attachment, context) }
    } catch (error) {
      if (!(error instanceof CloudAPIError)) {
        undoCreation(created, deps)
        throw error
      }
      if (error.kind === 'unavailable' && (await isAttachedAfterAll(created, deps, context)))
        return { deviceIndex, attachmentID: '' }
      const isIndexTaken = error.reason === 'indexConflict'
      if (isIndexTaken) deviceIndex = nextDeviceIndex(facts.interfaces, deviceIndex + 1)
      const isInvisible = error.code === 'InvalidNetworkInterfaceID.NotFound'
      const canRepeat =
        (isIndexTaken && ++conflicts < ATTACH_ATTEMPTS) || (isInvisible && ++misses < VISIBILITY_ATTEMPTS)
      if (!canRepeat) {
        if (error.kind !== 'unavailable') undoCreation(created, deps)
        throw new StepFailure('unableToAttachENI', wrapError(`unable to attach ENI at index ${deviceIndex}`, error))
      }
    }
    if (misses > 0) await sleepOrUndo(REPEAT_WAIT_MS * 2 ** (misses - 1), created, deps, context)
  }
}

async function sleepOrUndo(
  ms: number,
  created: CreatedInterface,
  deps: CreationDependencies,
  context: CallContext,
): Promise<void> {
  try {
    await deps.clock.sleep(ms, context.signal)
  } catch (error) {
    undoCreation(created, deps)
    throw error
  }
}

/**
 * Settles an attachment whose answer was lost by the attempt to undo: EC2 refuses to delete an attached interface.
 *
 * @returns true = attached; false = deleted, or being deleted in the background
 */
async function isAttachedAfterAll(
  created: CreatedInterface,
  deps: CreationDependencies,
  context: CallContext,
): Promise<boolean> {
  try {
    await deps.api.deleteNetworkInterface(created.interfaceID, context)
    deps.onSubnetChanged(created.eni?.subnet.id ?? '', created.eni?.addresses.length ?? 0)
    return false
  } catch (error) {
    if (error instanceof CloudAPIError && error.kind === 'conflict') return true
    undoCreation(created, deps)
    if (error instanceof CloudAPIError) return false
    throw error
  }
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

function markForDeletion(
  interfaceID: string,
  knownAttachmentID: string,
  instanceID: string,
  { api, background }: CreationDependencies,
): void {
  background.start({
    reason: 'delete-on-termination',
    fields: { instanceID, interfaceID },
    attempt: async (context) => {
      const attachmentID = knownAttachmentID || (await findAttachment(interfaceID, instanceID, api, context))
      await api.setDeleteOnTermination(interfaceID, attachmentID, context)
    },
  })
}

async function findAttachment(
  interfaceID: string,
  instanceID: string,
  api: EC2API,
  context: CallContext,
): Promise<string> {
  const listed = await api.listings.describeInterfacesOfInstances([instanceID], context)
  const attachmentID = listed.find(({ eni }) => eni.id === interfaceID)?.eni.attachmentID ?? ''
  if (attachmentID === '') throw new Error(`${interfaceID} does not show on ${instanceID} yet`)
  return attachmentID
}
