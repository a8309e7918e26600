import type { CiliumNodeSubscriber, K8sEventRegister } from '../agent/configuration.ts'
import type { NodeWriter } from '../agent/node-writer.ts'
import type { JSONObject } from '../ipam/types.ts'
import type { AgentKind, OwnFields, SeenResource } from './own-fields.ts'
import { addressesIn, readAttached, readOwnFields, readResource, readTakenOver } from './own-fields.ts'

export interface AgentViewOptions {
  readonly generation: AgentKind
  /** A version of the resource was taken over. */
  readonly onTakenOver: () => void
}

/**
 * The resource of a simulated node as it comes to its agent and goes from it, read apart from the agent: what it opens to pods, and
 * whether somebody else has changed what is the agent's alone.
 */
export class AgentView {
  readonly #options: AgentViewOptions
  #seen: SeenResource | undefined
  /** What the agent's last write left, as long as no write is under way whose fate is not known. */
  #written: OwnFields | undefined
  /** Multi-pool: CIDRs that were attached when a write did not list them: they are about to go. */
  #givenUp: ReadonlySet<string> = new Set()
  #isWriting = false
  #overwrites = 0

  constructor({ generation, onTakenOver }: AgentViewOptions) {
    this.#options = { generation, onTakenOver }
  }

  /** Undefined while there is no resource. */
  get seen(): SeenResource | undefined {
    return this.#seen
  }

  /** Addresses that the resource opens to pods. */
  get open(): readonly string[] {
    return this.#seen?.open ?? []
  }

  /** Versions in which another writer had changed the agent's own fields (count). */
  get overwrites(): number {
    return this.#overwrites
  }

  /** The source of versions with this view looking at each one, when the allocator has. */
  tapped(node: K8sEventRegister): K8sEventRegister {
    return {
      k8sEventReceived: (...event) => node.k8sEventReceived(...event),
      k8sEventProcessed: (...event) => node.k8sEventProcessed(...event),
      registerCiliumNodeSubscriber: (subscriber) => node.registerCiliumNodeSubscriber(this.#tap(subscriber)),
    }
  }

  #tap(subscriber: CiliumNodeSubscriber): CiliumNodeSubscriber {
    return {
      onAdd: (json) => {
        subscriber.onAdd(json)
        this.#look(json)
      },
      onUpdate: (old, json) => {
        subscriber.onUpdate(old, json)
        this.#look(json)
      },
      onDelete: (json) => {
        subscriber.onDelete(json)
        this.#seen = undefined
        this.#written = undefined
      },
    }
  }

  #look(json: JSONObject): void {
    const seen = readResource(json)
    if (seen.resourceVersion === this.#seen?.resourceVersion) return
    this.#checkOwnFields(json)
    this.#seen = this.#options.generation === 'pool' ? seen : { ...seen, open: this.#openOf(json) }
    this.#options.onTakenOver()
  }

  /** Multi-pool: what is attached and was not given up, or was asked for again since. */
  #openOf(json: JSONObject): readonly string[] {
    const attached = readAttached(json)
    const takenOver = readTakenOver(json)
    this.#givenUp = new Set(attached.filter((cidr) => this.#givenUp.has(cidr) && !takenOver.has(cidr)))
    return addressesIn(attached.filter((cidr) => !this.#givenUp.has(cidr)))
  }

  /** Whether what the agent has written is still there: it is nobody else's to change. */
  #checkOwnFields(json: JSONObject): void {
    const written = this.#written
    if (written === undefined || this.#isWriting) return
    const fields = readOwnFields(json, this.#options.generation)
    if (BigInt(fields.resourceVersion) >= BigInt(written.resourceVersion) && fields.content !== written.content)
      this.#overwrites += 1
  }

  /** The writer with this view remembering what each write left. */
  noted(node: NodeWriter): NodeWriter {
    const noted = async (write: () => Promise<JSONObject>): Promise<JSONObject> => {
      this.#isWriting = true
      try {
        const answer = await write()
        this.#written = readOwnFields(answer, this.#options.generation)
        if (this.#options.generation === 'multi-pool') {
          const takenOver = readTakenOver(answer)
          this.#givenUp = new Set(readAttached(answer).filter((cidr) => !takenOver.has(cidr)))
        }
        return answer
      } catch (error) {
        // Whether the server has taken it may not be known: the next version seen may be this very write.
        this.#written = undefined
        throw error
      } finally {
        this.#isWriting = false
      }
    }
    return {
      patchStatus: (patch, signal) => noted(() => node.patchStatus(patch, signal)),
      patchSpec: (patch, signal) => noted(() => node.patchSpec(patch, signal)),
    }
  }
}
