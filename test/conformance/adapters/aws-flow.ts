import { createAWSProvider, type AWSProvider } from '../../../providers/aws/index.ts'
import { NodeManager } from '../../../src/controller/node-manager.ts'
import type { CiliumNode, IPAMSpec } from '../../../src/ipam/cilium-node.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { terminateInstance } from '../../../simulators/aws/cloud/instances.ts'
import type { WorldInterface } from '../../../simulators/aws/world.ts'
import { agentAnswers, FakeAPIServer } from '../../support/fake-api-server.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { FlowWorld, typeWith, wireID, zoneOf, type FlowCloud } from './aws-flow-world.ts'
import {
  contextOf,
  driven,
  PLAIN_CONFIG,
  resourceOf,
  SILENT,
  UNLIMITED,
  UNMEASURED,
  type LimitsVector,
} from './aws-node.ts'
import { adapt } from './core-arithmetic.ts'
import { clientOf } from './aws-world.ts'

interface FlowIPAM {
  readonly 'pre-allocate'?: number
  readonly 'min-allocate'?: number
  readonly 'max-allocate'?: number
  readonly 'max-above-watermark'?: number
  readonly 'static-ip-tags'?: Readonly<Record<string, string>>
}

/** One step; which members it has depends on `op`. */
interface FlowStep {
  readonly op: string
  readonly withinMs?: number
  readonly ms?: number
  readonly used?: number
  readonly value?: number | string
  readonly available?: number
  readonly count?: number
  readonly ipam?: FlowIPAM
  readonly ref?: string
  readonly subnet?: string
  readonly instanceId?: string
  readonly operation?: string
  readonly code?: string
  readonly message?: string
}

interface FlowInput {
  readonly cloud: FlowCloud
  readonly manager: {
    readonly parallelWorkers: number
    readonly releaseExcess: boolean
    readonly releaseDelaySeconds: number
    readonly prefixDelegation: boolean
  }
  readonly node: {
    readonly name: string
    readonly instanceId: string
    readonly limits: LimitsVector
    readonly eni: JSONObject
    readonly ipam: FlowIPAM
  }
  readonly steps: readonly FlowStep[]
}

/** How finely waits look (ms of virtual time). */
const TICK_MS = 50

/** A flow: the controller with the AWS provider on the EC2 simulator, in virtual time. */
class Flow {
  readonly #input: FlowInput
  readonly #clock = new ManualClock()
  readonly #world: FlowWorld
  readonly #apiServer = new FakeAPIServer()
  readonly #provider: AWSProvider
  readonly #manager: NodeManager
  #ipam: FlowIPAM

  constructor(input: FlowInput) {
    this.#input = input
    const { cloud, manager, node } = input
    this.#ipam = node.ipam
    this.#world = new FlowWorld(cloud, node.limits, node.ipam['static-ip-tags'] ?? {}, this.#clock)
    this.#provider = createAWSProvider(
      { ...PLAIN_CONFIG, prefixDelegation: manager.prefixDelegation },
      {
        client: clientOf(this.#world.simulator),
        budget: UNLIMITED,
        clock: this.#clock,
        random: seededRandom(3),
        log: SILENT,
        metrics: UNMEASURED,
      },
    )
    this.#manager = new NodeManager({
      implementation: this.#provider,
      apiServer: this.#apiServer,
      metrics: createMetrics({ enabled: false, profile: 'latest', api: 'ec2' }).core,
      log: SILENT,
      clock: this.#clock,
      random: seededRandom(4),
      config: {
        parallelAllocWorkers: manager.parallelWorkers,
        releaseExcessIPs: manager.releaseExcess,
        excessIPReleaseDelayMs: manager.releaseDelaySeconds * 1000,
        prefixDelegation: manager.prefixDelegation,
        profile: 'latest',
        destructiveCallsPerMinute: 1000,
      },
    })
    this.#apiServer.onChange = (resource) => this.#manager.upsert(resource)
  }

  async run(): Promise<void> {
    void this.#manager.start()
    this.#manager.listed()
    await this.#clock.advance(TICK_MS)
    try {
      for (const [index, step] of this.#input.steps.entries()) {
        const fault = await this.#step(step)
        if (fault !== undefined) throw new Error(`step ${index + 1} (${step.op}): ${fault}`)
      }
    } finally {
      const stopped = this.#manager.stop(AbortSignal.abort(new Error('the flow is over')))
      stopped.catch(() => undefined)
      await this.#clock.advance(TICK_MS)
    }
  }

  /** @returns what does not hold */
  async #step(step: FlowStep): Promise<string | undefined> {
    const withinMs = step.withinMs ?? 0
    switch (step.op) {
      case 'upsert':
        return this.#upsert(step.used ?? 0)
      case 'setIpam':
        this.#ipam = { ...this.#ipam, ...step.ipam }
        return undefined
      case 'sleep':
        await this.#clock.advance(step.ms ?? 0)
        return undefined
      case 'waitNeeded':
        return this.#waitFor(
          withinMs,
          () => this.#isSettledAt(Number(step.value)),
          () => `needed is ${this.#needed()}`,
        )
      case 'waitNotRunning':
        return this.#waitFor(
          withinMs,
          () => !this.#node().isRunning(),
          () => 'the node counts as running',
        )
      case 'expectNotSettled':
        return this.#expectNotSettled(withinMs)
      case 'expect':
        return this.#expect(step)
      case 'expectStaticIP':
        await this.#clock.advance(TICK_MS)
        return same('static IP', step.value, this.#node().stats().assignedStaticIP)
      case 'expectInterface':
        return this.#expectInterfaces(step, [this.#world.byRef(step.ref ?? '')])
      case 'expectNewInterfaces':
        return this.#expectInterfaces(step, this.#world.newInterfacesOf(this.#input.node.instanceId))
      case 'expectAllInterfaces':
        return this.#expectInterfaces(step, this.#world.interfacesOf(this.#input.node.instanceId))
      case 'setError':
        return this.#setError(step)
      case 'clearErrors':
        this.#world.simulator.faults.clear()
        return undefined
      case 'setSubnetAvailable':
        this.#world.setAvailable(step.subnet ?? '', step.available ?? 0)
        return undefined
      case 'setNoContiguousBlock':
        this.#world.breakBlocks(step.subnet ?? '')
        return undefined
      case 'cacheResync':
        await driven(this.#provider.resync(contextOf()), this.#clock)
        return undefined
      case 'fullResync':
        await this.#manager.resync(await driven(this.#provider.resync(contextOf()), this.#clock))
        await this.#clock.advance(TICK_MS)
        return undefined
      case 'agentAcknowledgesRelease':
        this.#apiServer.change(this.#input.node.name, agentAnswers)
        await this.#clock.advance(TICK_MS)
        return undefined
      case 'deleteInstance': {
        const { cloud } = this.#world.simulator
        terminateInstance(cloud, cloud.instance(wireID('i', step.instanceId ?? this.#input.node.instanceId)))
        return undefined
      }
      default:
        throw new Error(`unknown step '${step.op}'`)
    }
  }

  async #upsert(usedCount: number): Promise<undefined> {
    const used = new Map(
      Array.from({ length: usedCount }, (_, index) => [`198.18.0.${index + 1}`, { resource: 'foo' }]),
    )
    const edit = (node: CiliumNode): CiliumNode => ({
      ...node,
      spec: { ...node.spec, ipam: { ...node.spec.ipam, ...specOf(this.#ipam) } },
      status: { ...node.status, used },
    })
    if (this.#manager.get(this.#input.node.name) === undefined) this.#apiServer.put(edit(this.#resource()))
    else this.#apiServer.change(this.#input.node.name, edit)
    await this.#clock.advance(0)
    return undefined
  }

  #resource(): CiliumNode {
    const { name, instanceId, eni, limits } = this.#input.node
    const wired: Record<string, JSONObject[string]> = { ...eni, 'instance-type': typeWith(limits) }
    const rename = (key: string, prefix: string): void => {
      const value = wired[key]
      if (typeof value === 'string') wired[key] = wireID(prefix, value)
      if (Array.isArray(value)) wired[key] = value.map((item) => wireID(prefix, String(item)))
    }
    rename('vpc-id', 'vpc')
    rename('node-subnet-id', 'subnet')
    rename('subnet-ids', 'subnet')
    rename('security-groups', 'sg')
    const zone = wired['availability-zone']
    if (typeof zone === 'string') wired['availability-zone'] = zoneOf(zone)
    return resourceOf({ name, instanceID: wireID('i', instanceId), eni: wired })
  }

  #node() {
    const node = this.#manager.get(this.#input.node.name)
    if (node === undefined) throw new Error('the node is not known')
    return node
  }

  #needed(): number {
    return this.#node().getNeededAddresses()
  }

  #isSettledAt(needed: number): boolean {
    return this.#manager.isQuiet() && this.#needed() === needed
  }

  async #waitFor(withinMs: number, holds: () => boolean, describe: () => string): Promise<string | undefined> {
    for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += TICK_MS) {
      await this.#clock.advance(TICK_MS)
      if (holds()) return undefined
    }
    return `not within ${withinMs} ms: ${describe()}`
  }

  async #expectNotSettled(withinMs: number): Promise<string | undefined> {
    for (let waitedMs = 0; waitedMs < withinMs; waitedMs += TICK_MS) {
      if (this.#needed() === 0) return `needed is 0 after ${waitedMs} ms`
      await this.#clock.advance(TICK_MS)
    }
    return undefined
  }

  #expect(step: FlowStep): string | undefined {
    const { ipv4 } = this.#node().stats()
    const interfaces = this.#world.interfacesOf(this.#input.node.instanceId)
    const actual: Readonly<Record<string, number>> = {
      available: ipv4.availableIPs,
      used: ipv4.usedIPs,
      needed: ipv4.neededIPs,
      excess: ipv4.excessIPs,
      interfaces: interfaces.length,
      prefixes: interfaces.reduce((sum, { ipv4Prefixes }) => sum + ipv4Prefixes.length, 0),
    }
    return Object.entries(step)
      .filter(([member]) => member !== 'op')
      .map(([member, wanted]) => same(member, wanted, actual[member]))
      .find((fault) => fault !== undefined)
  }

  #expectInterfaces(step: FlowStep, interfaces: readonly (WorldInterface | undefined)[]): string | undefined {
    const { op: _op, ref: _ref, count, ...wanted } = step
    if (count !== undefined && count !== interfaces.length) return `count: expected ${count}, got ${interfaces.length}`
    for (const iface of interfaces) {
      if (iface === undefined) return 'there is no such interface'
      const actual = this.#interfaceMembers(iface)
      for (const [member, value] of Object.entries(wanted)) {
        const fault = same(member, value, actual[member])
        if (fault !== undefined) return fault
      }
    }
    return undefined
  }

  #interfaceMembers(iface: WorldInterface): Readonly<Record<string, unknown>> {
    const { cloud } = this.#input
    const nameOf = (prefix: string, names: readonly string[], id: string): string =>
      names.find((name) => wireID(prefix, name) === id) ?? id
    return {
      // As the file counts: without the primary one, those of prefixes included.
      addresses: iface.privateIpAddresses.length - 1 + iface.ipv4Prefixes.length * 16,
      prefixes: iface.ipv4Prefixes.length,
      publicIp: this.#world.publicIPOf(iface.networkInterfaceId),
      subnet: nameOf(
        'subnet',
        cloud.subnets.map(({ id }) => id),
        iface.subnetId,
      ),
      index: iface.attachment?.deviceIndex,
      securityGroups: iface.groupIds
        .map((id) =>
          nameOf(
            'sg',
            (cloud.securityGroups ?? []).map((group) => group.id),
            id,
          ),
        )
        .toSorted(),
      tags: iface.tags,
      deleteOnTermination: iface.attachment?.deleteOnTermination,
    }
  }

  #setError(step: FlowStep): undefined {
    this.#world.simulator.faults.set([
      {
        action: step.operation ?? '',
        where: 'before-effect',
        effect: {
          kind: 'error',
          code: step.code ?? 'Client.Fake',
          status: 400,
          message: step.message ?? '',
        },
        probability: 1,
        count: Number.POSITIVE_INFINITY,
        fromCall: 1,
        untilCall: Number.POSITIVE_INFINITY,
      },
    ])
    return undefined
  }
}

function same(member: string, wanted: unknown, actual: unknown): string | undefined {
  const isEqual = JSON.stringify(wanted ?? null) === JSON.stringify(actual ?? null)
  return isEqual ? undefined : `${member}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(actual)}`
}

function specOf(ipam: FlowIPAM): Partial<IPAMSpec> {
  return {
    preAllocate: ipam['pre-allocate'] ?? 0,
    minAllocate: ipam['min-allocate'] ?? 0,
    maxAllocate: ipam['max-allocate'] ?? 0,
    maxAboveWatermark: ipam['max-above-watermark'] ?? 0,
    staticIPTags: ipam['static-ip-tags'] ?? {},
  }
}

export const awsFlowAdapters: AdapterRegistry = {
  flow: adapt<FlowInput>(async (input) => {
    await new Flow(input).run()
    return { allStepsHold: true }
  }),
}
