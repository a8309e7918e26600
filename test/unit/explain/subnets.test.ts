import { describe, expect, test } from 'vitest'
import { DenseAddresses } from '../../../providers/aws/dense-addresses.ts'
import { PrefixSupply, REFUSED_FOR_MS } from '../../../providers/aws/prefix-supply.ts'
import type { ENI } from '../../../providers/aws/types.ts'
import { timeToEmptyMs, TREND_WINDOW_MS, withSample } from '../../../src/ipam/subnet-trend.ts'
import type { FreeSample } from '../../../src/ipam/subnet-trend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { ReasonWorld } from './reason-world.ts'

function course(...points: readonly (readonly [atMs: number, freeIPs: number])[]): readonly FreeSample[] {
  return points.map(([atMs, freeIPs]) => ({ atMs, freeIPs }))
}

describe('when a subnet is empty', () => {
  test.each<{ name: string; samples: readonly FreeSample[]; ms: number | undefined }>([
    { name: 'nothing is known', samples: [], ms: undefined },
    { name: 'one look says nothing', samples: course([0, 100]), ms: undefined },
    { name: 'less than a minute says nothing', samples: course([0, 100], [59_999, 50]), ms: undefined },
    { name: 'at a steady rate', samples: course([0, 100], [60_000, 90], [120_000, 80]), ms: 480_000 },
    {
      name: 'a single jump counts for its share',
      samples: course([0, 100], [60_000, 100], [120_000, 70]),
      ms: 280_000,
    },
    { name: 'it is empty', samples: course([0, 100], [60_000, 0]), ms: 0 },
    { name: 'it fills', samples: course([0, 50], [60_000, 60]), ms: undefined },
    { name: 'nothing changes', samples: course([0, 50], [60_000, 50]), ms: undefined },
  ])('$name', ({ samples, ms }) => {
    const told = timeToEmptyMs(samples)
    if (ms === undefined) expect(told).toBeUndefined()
    else expect(told).toBeCloseTo(ms, 3)
  })

  test('samples are ten seconds apart and a quarter of an hour old at most', () => {
    let samples: readonly FreeSample[] = []
    for (let second = 0; second < 7_200; second++)
      samples = withSample(samples, { atMs: second * 1_000, freeIPs: second })
    expect(samples.length).toBeLessThanOrEqual(TREND_WINDOW_MS / 10_000 + 1)
    expect(samples.at(-1)!.atMs - samples[0]!.atMs).toBeLessThanOrEqual(TREND_WINDOW_MS)
    expect(samples[1]!.atMs - samples[0]!.atMs).toBe(10_000)
  })

  test('is told while a fleet draws on it, and forgotten with the subnet', async () => {
    const world = new ReasonWorld()
    const { provider } = world.fleet
    for (let minute = 0; minute < 10; minute++) {
      provider.subnetAvailable -= 500
      await world.fleet.advance(60_000)
    }
    const [subnet] = world.insight.subnets()
    // 10,000 at the start, 500 fewer each minute: ten more minutes, give or take the last half.
    expect(subnet!.emptyMs! / 60_000).toBeGreaterThan(9)
    expect(subnet!.emptyMs! / 60_000).toBeLessThan(11)
    expect((await world.explain('subnet', 'subnet-1')).summary).toMatch(/at the present rate it is empty in 1?\d min/)
  })
})

describe('whole blocks of a subnet', () => {
  const SUBNET = { id: 'subnet-1', cidr: '10.0.0.0/24' }
  const eni = (id: string, addresses: readonly string[], prefixes: readonly string[]): ENI =>
    ({ id, subnet: { id: 'subnet-1', cidr: SUBNET.cidr }, addresses, prefixes }) as unknown as ENI
  const attach = (dense: DenseAddresses, ...enis: readonly ENI[]): void =>
    dense.changed(new Map(), new Map(enis.map((one) => [one.id, one])))

  test('are those of which nothing is known to be taken; the first and the last belong to the cloud', () => {
    const dense = new DenseAddresses()
    expect(dense.freeBlocks(SUBNET)).toBeUndefined()
    dense.listed([])
    expect(dense.freeBlocks(SUBNET)).toBe(14)
    attach(dense, eni('eni-1', ['10.0.0.17', '10.0.0.18', '10.0.0.40'], ['10.0.0.64/28']))
    expect(dense.freeBlocks(SUBNET)).toBe(11)
    // A load balancer's, in a block that is taken already and in one that is not.
    dense.listed([eni('eni-2', ['10.0.0.19', '10.0.0.200'], [])])
    expect(dense.freeBlocks(SUBNET)).toBe(10)
    expect(dense.freeBlocks({ id: 'subnet-2', cidr: '10.0.1.0/28' })).toBe(0)
  })

  test('a refusal of the cloud is believed for a while, whatever was counted', async () => {
    const clock = new ManualClock()
    const supply = new PrefixSupply(clock)
    expect(supply.isRefused('subnet-1')).toBe(false)
    supply.refused('subnet-1')
    expect(supply.isRefused('subnet-1')).toBe(true)
    await clock.advance(REFUSED_FOR_MS)
    expect(supply.isRefused('subnet-1')).toBe(false)
  })
})
