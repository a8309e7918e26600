import type { Cloud } from '../cloud.ts'
import type { AsyncOperation, OperationError } from './types.ts'

/** Ended operations that can still be read (count); older ones are forgotten. */
const KEPT = 10_000

/** The long-running writes of the subscription by their ID. */
export class OperationStore {
  readonly #byID = new Map<string, AsyncOperation>()

  get(id: string): AsyncOperation | undefined {
    return this.#byID.get(id)
  }

  add(operation: AsyncOperation): void {
    this.#byID.set(operation.id, operation)
    if (this.#byID.size <= KEPT) return
    for (const [id, { status }] of this.#byID) {
      if (status !== 'InProgress') {
        this.#byID.delete(id)
        return
      }
    }
  }
}

/** How the script of faults lets a write end: with this error, or never. */
export interface ScriptedEnd {
  readonly delayMs: number
  readonly error: OperationError | undefined
  readonly never: boolean
}

export interface StartedOperation {
  readonly service: AsyncOperation['service']
  readonly resourceKey: string
  readonly durationMs: number
  readonly result: () => string
  readonly scripted: ScriptedEnd
  /** Takes effect at the end. @returns the error when it cannot */
  readonly complete: (error: OperationError | undefined) => OperationError | undefined
}

/** Starts a write: its end waits in the schedule. One without duration is done when the cloud is next looked at. */
export function startOperation(cloud: Cloud, started: StartedOperation): AsyncOperation {
  const startMs = cloud.now()
  const operation: AsyncOperation = {
    id: cloud.newUUID(),
    service: started.service,
    resourceKey: started.resourceKey,
    startTime: cloud.clock.wallTime().toISOString(),
    startMs,
    dueMs: started.scripted.never ? Infinity : startMs + started.durationMs + started.scripted.delayMs,
    endTime: undefined,
    status: 'InProgress',
    error: undefined,
    result: started.result,
  }
  cloud.operations.add(operation)
  if (operation.dueMs === Infinity) return operation
  cloud.schedule.add(operation.dueMs, () => {
    if (operation.status !== 'InProgress') return
    const error = started.complete(started.scripted.error)
    endOperation(cloud, operation, error)
  })
  return operation
}

/** Ends an operation: well, failed, or canceled when the error says so. */
export function endOperation(cloud: Cloud, operation: AsyncOperation, error: OperationError | undefined): void {
  operation.status = error === undefined ? 'Succeeded' : isCancellation(error) ? 'Canceled' : 'Failed'
  operation.error = error
  operation.endTime = cloud.clock.wallTime().toISOString()
}

export function isCancellation(error: OperationError): boolean {
  return error.code.startsWith('Cancel')
}
