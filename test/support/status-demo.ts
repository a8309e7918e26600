import { seededRandom } from '../../src/runtime/random.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { pageRoutes } from '../../src/status-page/page-routes.ts'
import { StatusFeed } from '../../src/status-page/status-feed.ts'
import { NODE_STATUS } from '../../src/status-page/status-source.ts'
import type {
  BudgetMoment,
  HappeningRow,
  NodeRow,
  NodeStatus,
  StatusSource,
} from '../../src/status-page/status-source.ts'
import type { Route } from '../../src/telemetry/server.ts'

/** A fleet that exists only for its page: so many nodes in the middle of a roll-out. */
export class StatusDemo implements StatusSource {
  readonly rows = new Map<string, NodeRow>()
  readonly feed: StatusFeed
  readonly #clock: Clock
  readonly #random = seededRandom(7)
  #ticks = 0
  isLeader = true

  constructor(nodes: number, clock: Clock = systemClock()) {
    this.#clock = clock
    for (let index = 1; index <= nodes; index++) this.put(`node-${index}`, this.#anyRow(`node-${index}`))
    this.feed = new StatusFeed(this, clock)
  }

  put(name: string, row: NodeRow): void {
    this.rows.set(name, row)
    this.feed?.changed(name)
  }

  remove(name: string): void {
    this.rows.delete(name)
    this.feed.changed(name)
  }

  /** So many nodes get another number of pods. */
  churn(count: number): void {
    const names = [...this.rows.keys()]
    for (let change = 0; change < count; change++) {
      const name = names[Math.floor(this.#random.next() * names.length)]!
      this.put(name, this.#anyRow(name))
    }
  }

  #anyRow(name: string): NodeRow {
    const used = Math.floor(this.#random.next() * 27)
    const luck = this.#random.next()
    if (luck < 0.008) return [name, 8, used, used, 29, NODE_STATUS.waits]
    if (luck < 0.03) return [name, 8, used, used, 29, NODE_STATUS.dry]
    if (luck < 0.1) return [name, 5, used, used + 3, 29, NODE_STATUS.short]
    const status: NodeStatus = luck < 0.105 ? NODE_STATUS.unknown : NODE_STATUS.settled
    return [name, 0, used, Math.min(29, used + 8), 29, status]
  }

  isLeading(): boolean {
    return this.isLeader
  }

  troubles(): readonly string[] {
    return this.isLeader ? [] : ['this replica stands by: another one leads']
  }

  nodes(): Iterable<NodeRow> {
    return this.rows.values()
  }

  node(name: string): NodeRow | undefined {
    return this.rows.get(name)
  }

  subnets(): StatusSource['subnets'] extends () => infer R ? R : never {
    return [
      ['subnet-0a1b2c3d4e5f60001', 812, 4091, 31, 5_400],
      ['subnet-0a1b2c3d4e5f60002', 3_310, 4091, 190, null],
      ['subnet-0a1b2c3d4e5f60003', 0, 251, 0, 0],
    ]
  }

  budget(): BudgetMoment {
    this.#ticks += 1
    return this.#moment(this.#clock.wallTime().getTime(), 1_000 + this.#ticks)
  }

  #moment(atMs: number, step: number): BudgetMoment {
    const waiting = Math.max(0, Math.round(90 * Math.sin(step / 60) + 60))
    return {
      atMs,
      buckets: [
        ['AssignPrivateIpAddresses', 0.4, 100, 5, 5, waiting, 0],
        ['AttachNetworkInterface', 12, 50, 3.5, 5, 4, 0],
        ['CreateNetworkInterface', 96, 100, 5, 5, 0, 0],
        ['DescribeNetworkInterfaces', 0, 100, 20, 20, 3, 12],
      ],
      actions: [
        ['AssignPrivateIpAddresses', step * 5, Math.floor(step / 40)],
        ['AttachNetworkInterface', step * 4, 0],
        ['DescribeNetworkInterfaces', step * 2, Math.floor(step / 15)],
      ],
    }
  }

  history(): readonly BudgetMoment[] {
    const nowMs = this.#clock.wallTime().getTime()
    return Array.from({ length: 110 }, (_, index) => this.#moment(nowMs - (110 - index) * 30_000, index * 9))
  }

  happenings(): readonly HappeningRow[] {
    const nowMs = this.#clock.wallTime().getTime()
    return [
      [nowMs - 4_000, 'node-17', 'subnet-full', 'subnet subnet-0a1b2c3d4e5f60003 has no free address'],
      [nowMs - 65_000, 'node-3', 'settled', 'goes on'],
    ]
  }

  /** The routes of the page, with an explanation that is always the same. */
  routes(): readonly Route[] {
    const chain = [
      {
        code: 'node-short',
        effect: 'context',
        text: 'short of 8 addresses: 16 attached, 16 in use or asked for, pods wait',
      },
      {
        code: 'waits-for-quota',
        effect: 'passes',
        text: 'AssignPrivateIpAddresses is 214th in line for its quota at 5/s, class pod-waiting',
        todo: 'Wait',
        runbook: 'docs/runbooks/waiting-quota.md#waits-for-quota',
      },
    ]
    return [
      ...pageRoutes(this.feed),
      {
        path: '/v1/explain/*',
        help: '',
        answer: ({ path }) => ({
          status: 200,
          contentType: 'application/json',
          body: JSON.stringify({ name: path, chain, isWaiting: true, estimateSeconds: 43 }),
        }),
      },
    ]
  }
}
