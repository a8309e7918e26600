import { startFleet } from '../support/fleet.ts'
import { SEED } from './fleet-bench.ts'
import { check, runBench } from './harness.ts'

/**
 * Subnets that nodes with prefixes fill to 60 %, each with a primary address where EC2 happens to put it and 32 delegated ones; for a day a
 * node is replaced every two minutes. How often a free /28 is found when one is asked for.
 */

const HOURS = 24
const PAUSE_MS = 120_000
/** Three subnets of 1,024 addresses (1,019 for customers). */
const SUBNET_BITS = 22
const SUBNET_ADDRESSES = 1_024
const SUBNETS = 3
const FILL = 0.6
const DELEGATED = 32
const NODES = Math.floor((SUBNETS * SUBNET_ADDRESSES * FILL) / (DELEGATED + 1))

await runBench('fragmentation', SEED, async (bench) => {
  const fleet = await startFleet({
    seed: SEED,
    nodeCount: NODES,
    subnetBits: SUBNET_BITS,
    prefixDelegation: true,
    specs: [{ 'min-allocate': DELEGATED }],
    agentIntervalMs: 15_000,
  })
  try {
    await fleet.clock.advance(60_000)
    const full = fleet.cloud.subnets.map(({ space }) => 1 - space.free / SUBNET_ADDRESSES)
    check(Math.max(...full) > FILL - 0.05, `a subnet is filled to ${Math.max(...full)}`)
    for (let passedMs = 0; passedMs < HOURS * 3_600_000; passedMs += PAUSE_MS) {
      fleet.leave(fleet.node(0)!, 'INC', 0)
      fleet.join()
      await fleet.clock.advance(PAUSE_MS)
    }
    const { ok, failed } = fleet.cloud.ec2.calls.counts('AssignPrivateIpAddresses')
    const created = fleet.cloud.ec2.calls.counts('CreateNetworkInterface')
    const tries = ok + failed + created.ok + created.failed
    check(tries >= NODES + (HOURS * 3_600_000) / PAUSE_MS, `every node asked for blocks, ${tries} times in all`)
    const singles = fleet.cloud.interfaces().reduce((sum, { addresses }) => sum + addresses.length - 1, 0)
    bench.record(
      { name: 'tries that found a /28', unit: '%', gate: { atLeast: 99 } },
      (100 * (ok + created.ok)) / tries,
    )
    bench.record({ name: 'tries', unit: 'tries' }, tries)
    bench.record(
      { name: 'single addresses in place of blocks, at the end', unit: 'addresses', gate: { atMost: 0 } },
      singles,
    )
    const blocks = fleet.cloud.subnets.reduce((sum, { space }) => sum + space.countFreeBlocks(), 0)
    const free = fleet.cloud.subnets.reduce((sum, { space }) => sum + space.free, 0)
    bench.record({ name: 'free addresses that lie in free blocks, at the end', unit: '%' }, (1600 * blocks) / free)
  } finally {
    await fleet.close()
  }
})
