import {
  AttachNetworkInterfaceCommand,
  CreateNetworkInterfaceCommand,
  DescribeNetworkInterfacesCommand,
} from '@aws-sdk/client-ec2'
import { EC2API } from '../../../providers/aws/api.ts'
import { ENIGarbageCollector } from '../../../providers/aws/eni-gc.ts'
import { createEC2Simulator } from '../../../simulators/aws/index.ts'
import { DestructiveLimiter } from '../../../src/controller/destructive-limiter.ts'
import { assert } from '../../../src/runtime/assert.ts'
import type { Tags } from '../../../src/ipam/types.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { SILENT, UNLIMITED, UNMEASURED } from './aws-node.ts'
import { clientOf } from './aws-world.ts'

/** One step; which members it has depends on `op`. */
interface GCStep {
  readonly op: string
  readonly ref?: string
  readonly instanceId?: string
  readonly total?: number
  readonly contains?: readonly string[]
  readonly operation?: string
  readonly code?: string
  readonly message?: string
}

interface GCInput {
  readonly untaggedDetached: number
  readonly taggedDetached: number
  readonly maxPerInterval: number
  readonly tags: Tags
  readonly steps: readonly GCStep[]
}

const SUBNET_ID = 'subnet-0000000000000001a'
const INTERVAL_MS = 300_000

/** The garbage collector on the EC2 simulator, round by round. */
class GCRun {
  readonly #clock = new ManualClock()
  readonly #simulator = createEC2Simulator({ clock: this.#clock, throttle: 'none' })
  readonly #client = clientOf(this.#simulator)
  /** No vector is about the pace. */
  readonly #limiter = new DestructiveLimiter(100_000)
  readonly #collector: ENIGarbageCollector
  readonly #tags: Tags
  readonly #idByRef = new Map<string, string>()
  readonly #instanceIDByName = new Map<string, string>()

  constructor({ tags, maxPerInterval }: GCInput) {
    this.#tags = tags
    this.#collector = new ENIGarbageCollector({
      api: new EC2API(
        { client: this.#client, budget: UNLIMITED, clock: this.#clock, log: SILENT, metrics: UNMEASURED },
        150,
      ),
      tags,
      subnetFilters: [],
      intervalMs: INTERVAL_MS,
      isBeingAttached: () => false,
      clock: this.#clock,
      log: SILENT,
      marksPerRound: maxPerInterval,
    })
  }

  async create(tags: Tags): Promise<string> {
    const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
    const { NetworkInterface } = await this.#client.send(
      new CreateNetworkInterfaceCommand({
        SubnetId: SUBNET_ID,
        ...(Tags.length > 0 && { TagSpecifications: [{ ResourceType: 'network-interface', Tags }] }),
      }),
    )
    return NetworkInterface?.NetworkInterfaceId ?? ''
  }

  async perform(step: GCStep): Promise<void> {
    switch (step.op) {
      case 'run':
        await this.#collector.collect(this.#limiter, new AbortController().signal)
        return this.#clock.advance(INTERVAL_MS)
      case 'createTaggedDetached':
        return void this.#idByRef.set(step.ref ?? '', await this.create(this.#tags))
      case 'attach':
        return this.#attach(this.#idOf(step), step.instanceId ?? '')
      case 'setError':
        return this.#setError(step)
      case 'clearErrors':
        return this.#simulator.faults.clear()
      case 'expectDetached':
        return this.#expectDetached(step)
      case 'expectExists':
        return assert((await this.#ids()).includes(this.#idOf(step)), `${step.ref} is gone`)
      default:
        throw new Error(`no such step: ${step.op}`)
    }
  }

  async #expectDetached({ total, contains = [] }: GCStep): Promise<void> {
    const detached = await this.#ids('available')
    assert(total === undefined || detached.length === total, `${detached.length} are detached, ${total} expected`)
    for (const ref of contains) assert(detached.includes(this.#idByRef.get(ref) ?? ''), `${ref} is not detached`)
  }

  async #attach(interfaceID: string, instanceName: string): Promise<void> {
    const known = this.#instanceIDByName.get(instanceName)
    const made = { instanceType: 'm5.large', subnetId: SUBNET_ID, count: 1 }
    const instanceID = known ?? this.#simulator.makeInstances(made).instances[0]?.instanceId ?? ''
    this.#instanceIDByName.set(instanceName, instanceID)
    const DeviceIndex = (await this.#ids('in-use', instanceID)).length
    await this.#client.send(
      new AttachNetworkInterfaceCommand({ NetworkInterfaceId: interfaceID, InstanceId: instanceID, DeviceIndex }),
    )
  }

  #setError({ operation = '', code = 'Client.Fake', message = '' }: GCStep): void {
    this.#simulator.faults.set([
      {
        action: operation,
        where: 'before-effect',
        effect: { kind: 'error', code, status: 400, message },
        probability: 1,
        count: Number.POSITIVE_INFINITY,
        fromCall: 1,
        untilCall: Number.POSITIVE_INFINITY,
      },
    ])
  }

  #idOf({ ref = '' }: GCStep): string {
    const id = this.#idByRef.get(ref)
    assert(id !== undefined, `no interface is called ${ref}`)
    return id
  }

  /** IDs of interfaces. */
  async #ids(status?: string, instanceID?: string): Promise<readonly string[]> {
    const Filters = [
      ...(status === undefined ? [] : [{ Name: 'status', Values: [status] }]),
      ...(instanceID === undefined ? [] : [{ Name: 'attachment.instance-id', Values: [instanceID] }]),
    ]
    const { NetworkInterfaces = [] } = await this.#client.send(new DescribeNetworkInterfacesCommand({ Filters }))
    return NetworkInterfaces.map(({ NetworkInterfaceId = '' }) => NetworkInterfaceId)
  }

  /** Detached interfaces without our tags (count). */
  async untaggedCount(untagged: readonly string[]): Promise<number> {
    const detached = await this.#ids('available')
    return untagged.filter((id) => detached.includes(id)).length
  }
}

export const awsGCAdapters: AdapterRegistry = {
  gc: async (input) => {
    const given = input as unknown as GCInput
    const run = new GCRun(given)
    const untagged: string[] = []
    for (let made = 0; made < given.untaggedDetached; made++) untagged.push(await run.create({}))
    for (let made = 0; made < given.taggedDetached; made++) await run.create(given.tags)
    for (const step of given.steps) await run.perform(step)
    return { untaggedSurvive: (await run.untaggedCount(untagged)) === untagged.length }
  },
}
