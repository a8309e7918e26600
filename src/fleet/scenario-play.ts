import type { FaultRule } from '../../simulators/kit/faults.ts'
import type { ThrottleTable } from '../../simulators/kit/rate-limit.ts'
import { amountOf, throttleTableOf } from './scenario.ts'
import type { NodeAmount, Scenario, ScenarioStep, ScenarioThrottle } from './scenario.ts'
import type { VirtualFleet } from './virtual-fleet.ts'

/** What a scenario is played on. */
export interface Stage {
  readonly fleet: VirtualFleet
  /** Buckets of a new account. */
  readonly documentedThrottle: ThrottleTable
  /** Nodes of the plan (count). */
  readonly nodes: number
  /** Resolves once every node has what it needs and no pod waits, or when that takes too long. */
  readonly settle: () => Promise<void>
  readonly measureFromNow: () => void
}

type FaultTarget = 'cloud' | 'kubernetes'

/** Plays a scenario once: its steps in order, what has an end beside them. Time passes meanwhile. */
export class ScenarioPlayer {
  readonly #scenario: Scenario
  readonly #stage: Stage
  /** What has an end and is under way; each rejects when it goes wrong. */
  readonly #underWay = new Set<Promise<void>>()
  readonly #faults: Readonly<Record<FaultTarget, Set<readonly FaultRule[]>>> = {
    cloud: new Set(),
    kubernetes: new Set(),
  }

  constructor(scenario: Scenario, stage: Stage) {
    this.#scenario = scenario
    this.#stage = stage
  }

  /** @throws Error of the first step that goes wrong */
  async play(): Promise<void> {
    const { clock } = this.#stage.fleet
    const startMs = clock.now()
    for (const step of this.#scenario.steps) {
      const waitMs = startMs + (step.atMs ?? 0) - clock.now()
      if (waitMs > 0) await this.#sleep(waitMs)
      await this.#begin(step)
    }
    await this.#settle()
  }

  async #begin(step: ScenarioStep): Promise<void> {
    const { fleet, nodes, measureFromNow } = this.#stage
    switch (step.kind) {
      case 'startController':
        return fleet.startController()
      case 'stopController':
        return fleet.stopController()
      case 'measure':
        return measureFromNow()
      case 'settle':
        return this.#settle()
      case 'wait':
        return this.#sleep(step.forMs)
      case 'join':
        return this.#join(amountOf(step.nodes, nodes), step.perSecond)
      case 'drain':
        return this.#atRate(this.#oldest(step.nodes), step.perSecond, (name) => this.#remove(name))
      case 'replace':
        return this.#atRate(this.#oldest(step.nodes), step.perSecond, async (name) => {
          await this.#remove(name)
          await fleet.world.addNode()
        })
      case 'startPods':
        await Promise.all(this.#spread(step.nodes).map((name) => fleet.world.startPodsOn(name, step.podsPerNode)))
        return
      case 'stopPods':
        return fleet.world.stopPods(Math.round((await fleet.world.report()).pods * step.share))
      case 'churn':
        fleet.world.startChurn(step.podsPerSecondAndNode * nodes)
        return this.#for(step.forMs, () => fleet.world.stopChurn())
      case 'fillSubnets': {
        const { account } = fleet.simulators.cloud
        const occupied = await account.occupy(step.leaveFree, fleet.closing)
        return this.#for(step.forMs, () => account.free(occupied, fleet.closing))
      }
      case 'throttle':
        this.#setThrottle(step.throttle)
        return this.#for(step.forMs, () => this.#setThrottle(this.#scenario.throttle))
      case 'fault':
        this.#faults[step.target].add(step.rules)
        this.#putFaults(step.target)
        return this.#for(step.forMs, () => {
          this.#faults[step.target].delete(step.rules)
          this.#putFaults(step.target)
        })
      default:
        return step satisfies never
    }
  }

  async #settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
    await this.#stage.settle()
  }

  async #join(count: number, perSecond: number | undefined): Promise<void> {
    const { world } = this.#stage.fleet
    if (perSecond === undefined) return world.joinNodes(count)
    return this.#atRate(Array.from({ length: count }), perSecond, async () => void (await world.addNode()))
  }

  async #remove(name: string): Promise<void> {
    await this.#stage.fleet.world.removeNode(name)
  }

  /** At fixed moments, so that what one takes itself is not added up; without a rate all at once. Goes on beside the next steps. */
  #atRate<T>(items: readonly T[], perSecond: number | undefined, act: (item: T) => Promise<void>): void {
    const { clock } = this.#stage.fleet
    const startMs = clock.now()
    this.#goOn(async () => {
      for (const [index, item] of items.entries()) {
        const waitMs = perSecond === undefined ? 0 : startMs + (index * 1000) / perSecond - clock.now()
        if (waitMs > 0) await this.#sleep(waitMs)
        await act(item)
      }
    })
  }

  /** Lets what has begun end after a while; without one it lasts. */
  #for(ms: number | undefined, end: () => void | Promise<void>): void {
    if (ms === undefined) return
    this.#goOn(async () => {
      await this.#sleep(ms)
      await end()
    })
  }

  #goOn(work: () => Promise<void>): void {
    const going = work().then(() => void this.#underWay.delete(going))
    going.catch(() => undefined) // whoever settles hears of it
    this.#underWay.add(going)
  }

  #oldest(amount: NodeAmount): readonly string[] {
    return this.#stage.fleet.world.nodeNames.slice(0, amountOf(amount, this.#stage.nodes))
  }

  /** Nodes at even distances, so that every zone and type has its share. */
  #spread(amount: NodeAmount): readonly string[] {
    const names = this.#stage.fleet.world.nodeNames
    const count = Math.min(amountOf(amount, this.#stage.nodes), names.length)
    return Array.from({ length: count }, (_, index) => names[Math.floor((index * names.length) / count)] ?? '')
  }

  /** New buckets are full. */
  #setThrottle(choice: ScenarioThrottle): void {
    const { fleet, documentedThrottle } = this.#stage
    fleet.simulators.cloud.setThrottle(throttleTableOf(choice, documentedThrottle) ?? 'none')
  }

  #putFaults(target: FaultTarget): void {
    const { cloud, kubernetes } = this.#stage.fleet.simulators
    const rules = [...this.#faults[target]].flat()
    if (target === 'cloud') cloud.setFaults(rules)
    else kubernetes.faults.set(rules)
  }

  #sleep(ms: number): Promise<void> {
    return this.#stage.fleet.clock.sleep(ms, this.#stage.fleet.closing)
  }
}
