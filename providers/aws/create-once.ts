import type { DestructionProof, DestructionSubject } from '../../src/ipam/destruction.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import { PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import type { CreatedInterface, CreateInterfaceRequest, EC2API } from './api.ts'
import type { BackgroundWork } from './background.ts'
import type { Admission } from './ec2-caller.ts'

/** Sends of one creation whose answers are lost (count), and the wait before the first repetition (ms); doubles. A choice. */
const CREATE_SENDS = 3
export const REPEAT_WAIT_MS = 500

export interface SafeCreationDependencies {
  readonly api: EC2API
  readonly background: BackgroundWork
  readonly clock: Clock
  readonly random: Random
  /** For whom interfaces are created. */
  readonly owner: DestructionSubject
  /** Free addresses of a subnet changed through us (count, negative = taken). */
  readonly onSubnetChanged: (subnetID: string, difference: number) => void
}

/**
 * One creation, repeated with its token while its answer is lost.
 *
 * @param admit asked when it is the first send's turn
 * @throws CloudAPIError: when it is still not known what became of it, that is found out and undone in the background
 */
export async function createOnce(
  parameters: Omit<CreateInterfaceRequest, 'clientToken'>,
  deps: SafeCreationDependencies,
  context: CallContext,
  admit?: Admission,
): Promise<CreatedInterface> {
  const request = { ...parameters, clientToken: newClientToken(deps) }
  for (let send = 1; ; send++) {
    try {
      // What was sent once has to be asked for again, whatever has become of the subnet.
      const created = await deps.api.createNetworkInterface(request, context, send === 1 ? admit : undefined)
      deps.onSubnetChanged(request.subnetID, -addressesTaken(created, request))
      return created
    } catch (error) {
      const isLost = error instanceof CloudAPIError && error.kind === 'unavailable'
      if (!isLost && send === 1) throw error
      if (!isLost || send >= CREATE_SENDS) {
        // An earlier send may have created it, whatever this one says.
        if (isLost || !(error instanceof CloudAPIError) || error.kind === 'throttled') undoLostCreation(request, deps)
        throw error
      }
    }
    try {
      await deps.clock.sleep(REPEAT_WAIT_MS * 2 ** (send - 1), context.signal)
    } catch (error) {
      undoLostCreation(request, deps)
      throw error
    }
  }
}

/** Addresses that a new interface takes from its subnet (count): its primary, and what it was filled with. */
function addressesTaken(
  { eni }: CreatedInterface,
  request: Pick<CreateInterfaceRequest, 'addressCount' | 'prefixCount'>,
): number {
  if (eni !== undefined) return eni.addresses.length
  return 1 + (request.prefixCount > 0 ? request.prefixCount * PREFIX_SIZE : request.addressCount)
}

/**
 * Up to 64 ASCII characters, as EC2 takes them: 96 bits of chance, and the time, so that a process that starts again with the
 * same seed does not repeat itself.
 */
function newClientToken({ clock, random }: Pick<SafeCreationDependencies, 'clock' | 'random'>): string {
  const word = (): string =>
    Math.floor(random.next() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return `${clock.wallTime().getTime().toString(16)}-${word()}${word()}${word()}`
}

/**
 * What the clean-up of a creation rests on: nobody but this process knows the interface, and EC2 refuses to delete an attached one.
 *
 * @param what what the creation's owner knows of the attachment
 */
export function creationProof(
  { answeredAtMs, eni }: CreatedInterface,
  what: 'never attached' | 'attachment not answered' | 'creation not answered',
): DestructionProof {
  return {
    basis: 'own-creation',
    readStartedAtMs: answeredAtMs,
    sinceMs: answeredAtMs,
    seen: { state: what, addresses: eni?.addresses.length ?? 0 },
  }
}

/** Deletes an interface that hangs on nothing, in the background until it is gone. One that is in use after all is left alone. */
export function undoCreation(
  created: CreatedInterface,
  { api, background, onSubnetChanged, owner }: SafeCreationDependencies,
  what: Parameters<typeof creationProof>[1] = 'never attached',
): void {
  const { interfaceID, eni } = created
  const proof = creationProof(created, what)
  let misses = 0
  background.start({
    reason: 'undo-create-interface',
    fields: { interfaceID },
    attempt: async (context) => {
      try {
        await api.deleteNetworkInterface(interfaceID, { ...context, proof }, owner)
        if (eni !== undefined) onSubnetChanged(eni.subnet.id, eni.addresses.length)
      } catch (error) {
        if (error instanceof CloudAPIError && error.kind === 'conflict') return
        // Unknown twice, some time apart: gone. Unknown once may mean that EC2 does not show it yet.
        if (error instanceof CloudAPIError && error.kind === 'notFound' && ++misses > 1) return
        throw error
      }
    },
  })
}

/** Finds out what became of a creation, by asking for it once more with its token, and deletes what there is. */
function undoLostCreation(request: CreateInterfaceRequest, deps: SafeCreationDependencies): void {
  deps.background.start({
    reason: 'undo-lost-creation',
    fields: { poolID: request.subnetID },
    attempt: async (context) => {
      try {
        const created = await deps.api.createNetworkInterface(request, context)
        deps.onSubnetChanged(request.subnetID, -addressesTaken(created, request))
        undoCreation(created, deps, 'creation not answered')
      } catch (error) {
        if (!(error instanceof CloudAPIError) || error.kind === 'unavailable' || error.kind === 'throttled') throw error
        // Refused: there is nothing under this token.
      }
    },
  })
}
