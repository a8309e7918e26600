import type { JSONObject } from '../ipam/types.ts'
import type { KubernetesClient } from './client.ts'
import { FIELD_MANAGER } from './client.ts'
import { KubernetesAPIError } from './errors.ts'
import { eventsPath } from './paths.ts'

/** Longer messages are cut (characters). @source Kubernetes pkg/apis/core/validation/events.go, NoteLengthLimit */
const MAX_MESSAGE_LENGTH = 1024

/** What an event is about. */
export interface EventObject {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  /** Empty for what is in no namespace. */
  readonly namespace: string
  /** Empty when not known. */
  readonly uid: string
}

export interface EventParts {
  readonly name: string
  readonly about: EventObject
  /** In capital case, for machines: `AtCapacity`. */
  readonly reason: string
  readonly message: string
  readonly count: number
  readonly at: Date
}

/** Events of objects that are in no namespace live here. @source client-go tools/record, makeEvent */
const DEFAULT_NAMESPACE = 'default'

/** Writes Kubernetes Events. Nobody waits for one, and losing one is no fault. */
export class EventAPI {
  readonly #client: KubernetesClient
  readonly #instance: string

  /** @param instance who reports: the identity of this replica */
  constructor(client: KubernetesClient, instance: string) {
    this.#client = client
    this.#instance = instance
  }

  /** @throws KubernetesAPIError; the signal's reason when aborted */
  async create(parts: EventParts, signal: AbortSignal): Promise<void> {
    const { name, about, reason, message, count, at } = parts
    const namespace = about.namespace || DEFAULT_NAMESPACE
    const { apiVersion, kind, uid } = about
    const event: JSONObject = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: {
        apiVersion,
        kind,
        name: about.name,
        ...(about.namespace !== '' && { namespace: about.namespace }),
        ...(uid !== '' && { uid }),
      },
      reason,
      message: message.slice(0, MAX_MESSAGE_LENGTH),
      type: 'Warning',
      count,
      firstTimestamp: timestamp(at),
      lastTimestamp: timestamp(at),
      source: { component: FIELD_MANAGER },
      reportingComponent: FIELD_MANAGER,
      reportingInstance: this.#instance,
    }
    await this.#client.create(eventsPath(namespace), event, signal)
  }

  /** Counts an event up. @returns false when it is gone: the API server keeps events for an hour. @throws as `create` */
  async repeat({ name, about, message, count, at }: EventParts, signal: AbortSignal): Promise<boolean> {
    const path = `${eventsPath(about.namespace || DEFAULT_NAMESPACE)}/${encodeURIComponent(name)}`
    const patch = { message: message.slice(0, MAX_MESSAGE_LENGTH), count, lastTimestamp: timestamp(at) }
    try {
      await this.#client.mergePatch(path, patch, signal)
      return true
    } catch (error) {
      if (error instanceof KubernetesAPIError && error.kind === 'notFound') return false
      throw error
    }
  }
}

/** Whole seconds, as `metav1.Time` is written. */
function timestamp(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, 'Z')
}
