import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { CreatedInterface, EC2API } from './api.ts'
import { creationProof, REPEAT_WAIT_MS, undoCreation } from './create-once.ts'
import { StepFailure, type CreationDependencies, type CreationFacts } from './creation.ts'
import { wrapError } from './errors.ts'
import { nextDeviceIndex } from './plan.ts'

/** Attachments tried while the device index turns out to be taken (count). @source cilium pkg/aws/ipam/node.go, maxAttachRetries */
const ATTACH_ATTEMPTS = 5
/** Attachments tried while EC2 does not show the new interface yet (count), with the same waits. A choice. */
const VISIBILITY_ATTEMPTS = 4

export interface Attachment {
  readonly deviceIndex: number
  /** Empty when the answer that had it was lost. */
  readonly attachmentID: string
}

/**
 * Hangs a new interface on its instance, at the next index that is free. What fails is undone.
 *
 * @throws StepFailure; the signal's reason when aborted
 */
export async function attach(
  created: CreatedInterface,
  facts: CreationFacts,
  deps: CreationDependencies,
  context: CallContext,
): Promise<Attachment> {
  const { interfaceID } = created
  let deviceIndex = nextDeviceIndex(facts.interfaces, facts.spec.firstInterfaceIndex ?? 0)
  let conflicts = 0
  let misses = 0
  deps.onAttaching()
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
    const proof = creationProof(created, 'attachment not answered')
    const { priority, reason, signal } = context
    await deps.api.deleteNetworkInterface(created.interfaceID, { priority, reason, signal, proof }, deps.owner)
    deps.onSubnetChanged(created.eni?.subnet.id ?? '', created.eni?.addresses.length ?? 0)
    return false
  } catch (error) {
    if (error instanceof CloudAPIError && error.kind === 'conflict') return true
    undoCreation(created, deps, 'attachment not answered')
    if (error instanceof CloudAPIError) return false
    throw error
  }
}

/** Has an attached interface go with its instance, in the background. @param knownAttachmentID empty when the answer that had it was lost */
export function markForDeletion(
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
