import { createKubernetesSimulator } from '../../../simulators/kubernetes/index.ts'
import type { JSONObject, KubernetesSimulator } from '../../../simulators/kubernetes/index.ts'
import { PoolsLeader } from '../../../src/cli/controller-pools.ts'
import type { PoolPlan } from '../../../src/cli/pool-plan.ts'
import { KubernetesClient } from '../../../src/kubernetes/client.ts'
import { RateLimiter } from '../../../src/kubernetes/rate-limiter.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { cidrsOverlap, parseCIDR } from '../../../src/ipam/ip-range.ts'
import type { CIDR } from '../../../src/ipam/ip-range.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

const NODES = '/apis/cilium.io/v2/ciliumnodes'
const POOLS = '/apis/cilium.io/v2alpha1/ciliumpodippools'

export type Allocated = readonly { readonly pool: string; readonly cidrs: readonly string[] }[]

/** A cluster without a cloud on a manual clock, and leaders of the pool modes that come and go. */
export class PoolsWorld {
  readonly clock = new ManualClock()
  readonly kubernetes: KubernetesSimulator
  readonly logged: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[] = []
  leader: PoolsLeader | undefined
  /** Requests that are held back on their way, and fail for who made them; `deliver` lets them arrive. */
  isHeldBack: (method: string, path: string) => boolean = () => false
  readonly #heldBack: (() => Promise<unknown>)[] = []
  readonly #plan: PoolPlan
  readonly #seed: number

  constructor(
    plan: PoolPlan,
    options: Parameters<typeof createKubernetesSimulator>[0] & { readonly seed?: number } = {},
  ) {
    this.#plan = plan
    this.#seed = options.seed ?? 1
    this.kubernetes = createKubernetesSimulator({ clock: this.clock, ...options })
  }

  /** A leader begins its term; it is not waited for. */
  start(plan = this.#plan): PoolsLeader {
    const { clock } = this
    const random = seededRandom(this.#seed)
    const log = (fields: object, message: string): void =>
      void this.logged.push({ message, fields: fields as Record<string, unknown> })
    const leader = new PoolsLeader({
      config: { parallelAllocWorkers: 8, nodesGCIntervalMs: 0, destructiveCallsPerMinute: 60 },
      plan,
      client: new KubernetesClient({
        transport: inProcessTransport((request, signal) => {
          if (!this.isHeldBack(request.method, request.path)) return this.kubernetes.router(request, signal)
          this.#heldBack.push(() => this.kubernetes.router(request, new AbortController().signal))
          return Promise.reject(new Error('the connection was cut'))
        }),
        clock,
        random,
        limiter: new RateLimiter({ clock, qps: 1000, burst: 1000 }),
      }),
      log: { debug: () => undefined, info: log, warn: log, error: log },
      clock,
      random,
    })
    this.leader = leader
    leader.start().catch((error: unknown) => void this.logged.push({ message: String(error), fields: {} }))
    return leader
  }

  /** The leader goes at once, whatever it has under way, as with its process. */
  async kill(): Promise<void> {
    const { leader } = this
    this.leader = undefined
    await leader?.stop(AbortSignal.abort(new Error('killed')))
  }

  /** What was held back arrives, in its order. @returns how many (count) */
  async deliver(): Promise<number> {
    const held = this.#heldBack.splice(0)
    for (const arrive of held) await arrive()
    return held.length
  }

  async run(ms = 0): Promise<void> {
    await settle(20)
    await this.clock.advance(ms)
    await settle(20)
  }

  async request(
    method: string,
    path: string,
    body?: JSONObject,
    contentType = 'application/merge-patch+json',
  ): Promise<JSONObject> {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = { 'content-type': method === 'POST' ? 'application/json' : contentType, 'user-agent': 'cluster' }
    const request = { method, path, query: new URLSearchParams(), headers, body: text }
    const answer = await this.kubernetes.router(request, new AbortController().signal)
    return JSON.parse(answer.body as string) as JSONObject
  }

  addNode(name: string, ipam: JSONObject = {}): Promise<JSONObject> {
    return this.request('POST', NODES, {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: { name },
      spec: { ipam },
    })
  }

  deleteNode(name: string): Promise<JSONObject> {
    return this.request('DELETE', `${NODES}/${name}`)
  }

  patchNode(name: string, ipam: JSONObject): Promise<JSONObject> {
    return this.request('PATCH', `${NODES}/${name}`, { spec: { ipam } })
  }

  /** What a node asks for: pool → addresses. */
  ask(name: string, needs: Readonly<Record<string, number>>): Promise<JSONObject> {
    const requested = Object.entries(needs).map(([pool, count]) => ({ pool, needed: { 'ipv4-addrs': count } }))
    return this.patchNode(name, { pools: { requested } })
  }

  putPool(name: string, cidrs: readonly string[], maskSize: number): Promise<JSONObject> {
    const spec = { ipv4: { cidrs: [...cidrs], maskSize } }
    return this.request('POST', POOLS, {
      apiVersion: 'cilium.io/v2alpha1',
      kind: 'CiliumPodIPPool',
      metadata: { name },
      spec,
    })
  }

  patchPool(name: string, cidrs: readonly string[]): Promise<JSONObject> {
    return this.request('PATCH', `${POOLS}/${name}`, { spec: { ipv4: { cidrs: [...cidrs] } } })
  }

  deletePool(name: string): Promise<JSONObject> {
    return this.request('DELETE', `${POOLS}/${name}`)
  }

  async nodes(): Promise<
    readonly {
      readonly name: string
      readonly podCIDRs: readonly string[]
      readonly allocated: Allocated
      readonly error: string
    }[]
  > {
    const { items = [] } = (await this.request('GET', NODES)) as { readonly items?: readonly NodeJSON[] }
    return items.map(({ metadata, spec, status }) => ({
      name: metadata.name,
      podCIDRs: spec.ipam?.podCIDRs ?? [],
      allocated: spec.ipam?.pools?.allocated ?? [],
      error: status?.ipam?.['operator-status']?.error ?? '',
    }))
  }

  async node(name: string) {
    return (await this.nodes()).find((node) => node.name === name)
  }

  /** Name and CIDRs of two nodes that share addresses; undefined when none do. */
  async shared(): Promise<string | undefined> {
    const held: { readonly name: string; readonly text: string; readonly cidr: CIDR }[] = []
    for (const { name, podCIDRs, allocated } of await this.nodes())
      for (const text of [...podCIDRs, ...allocated.flatMap(({ cidrs }) => cidrs)]) {
        const cidr = parseCIDR(text)!
        const other = held.find((one) => one.name !== name && cidrsOverlap(one.cidr, cidr))
        if (other !== undefined) return `${other.name} ${other.text}, ${name} ${text}`
        held.push({ name, text, cidr })
      }
    return undefined
  }

  async close(): Promise<void> {
    await this.kill()
    this.kubernetes.close()
    await settle()
  }
}

interface NodeJSON {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly ipam?: { readonly podCIDRs?: readonly string[]; readonly pools?: { readonly allocated?: Allocated } }
  }
  readonly status?: { readonly ipam?: { readonly 'operator-status'?: { readonly error?: string } } }
}
