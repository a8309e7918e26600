import { AddressRange } from '../../src/agent/address-range.ts'
import { HostScopeAllocator } from '../../src/agent/host-scope.ts'
import { IPAM } from '../../src/agent/ipam.ts'
import { parseCIDR } from '../../src/ipam/ip-range.ts'
import { Bitmap } from '../../src/runtime/bitmap.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { TimerQueue } from '../../src/runtime/timer.ts'
import type { Bench, Gate } from './harness.ts'
import { check, runBench, threadMicros } from './harness.ts'

/**
 * Allocate and release pairs a second of the node's allocator on a /16 at 0, 50 and 99 % fill, on three levels: the integer bitmap
 * alone, the range with address texts, and the facade (owners, exclusions, expirations, events). Each level checks its result
 * before and after it is timed.
 */

const CIDR = '10.1.0.0/16'
const FILLS = [0, 0.5, 0.99]
const SEED = 20260915
const MICROS_PER_SECOND = 1e6
/** Pairs of one round (count). */
const PAIRS: Readonly<Record<Level, number>> = { bitmap: 2_000_000, range: 400_000, facade: 300_000 }

type Level = 'bitmap' | 'range' | 'facade'

interface Contender {
  /** Makes `count` allocations, each released before the next. */
  run(count: number): void
  /** Held addresses (count): the same before and after. */
  readonly held: number
  readonly sizeBytes: number
}

const GATES: Readonly<Partial<Record<Level, Gate>>> = {
  bitmap: { atLeast: 2_000_000 },
  facade: { atLeast: 300_000 },
}
const BITMAP_BYTES: Gate = { atMost: 16_384 }

const clock = systemClock()

const LEVELS: Readonly<Record<Level, (fill: number) => Contender>> = {
  bitmap(fill) {
    const bitmap = new Bitmap(65_534)
    const random = seededRandom(SEED)
    const next = (): number => bitmap.nextClear(Math.floor(random.next() * bitmap.size))
    for (let count = held(fill); count > 0; count--) check(bitmap.set(next()), 'a clear bit is found')
    return {
      run: (count) => {
        for (let pair = 0; pair < count; pair++) {
          const index = next()
          bitmap.set(index)
          bitmap.clear(index)
        }
      },
      get held() {
        return bitmap.count
      },
      sizeBytes: bitmap.sizeBytes,
    }
  },
  range(fill) {
    const cidr = parseCIDR(CIDR)
    check(cidr !== undefined, 'the CIDR is valid')
    const range = new AddressRange(cidr, { smallCIDR: 'usable', clock, cooldownMs: 0, random: seededRandom(SEED) })
    for (let count = held(fill); count > 0; count--) check(range.claimNext() !== undefined, 'an address is free')
    return {
      run: (count) => {
        for (let pair = 0; pair < count; pair++) range.release(range.claimNext() ?? '')
      },
      get held() {
        return range.used
      },
      get sizeBytes() {
        return range.sizeBytes
      },
    }
  },
  facade(fill) {
    const random = seededRandom(SEED)
    const timers = new TimerQueue(clock, () => undefined)
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
    const ipv4Allocator = new HostScopeAllocator('ipv4', [CIDR], { smallCIDR: 'usable', clock, cooldownMs: 0, random })
    const ipam = new IPAM({ ipv4Allocator, clock, timers, random, log })
    for (let count = held(fill); count > 0; count--)
      ipam.allocateNextFamily({ family: 'ipv4', owner: `default/pod-${count}` })
    return {
      run: (count) => {
        for (let pair = 0; pair < count; pair++) {
          const { ip } = ipam.allocateNextFamily({ family: 'ipv4', owner: 'default/web-0' })
          ipam.releaseIP(ip, 'default')
        }
      },
      get held() {
        return ipam.dump().ipv4?.size ?? -1
      },
      get sizeBytes() {
        return ipv4Allocator.sizeBytes
      },
    }
  },
}

function held(fill: number): number {
  return Math.floor(65_534 * fill)
}

/** Whether the addresses a contender hands out are free ones, on the range whose answers can be read. */
function checkRange(): void {
  const cidr = parseCIDR(CIDR)
  check(cidr !== undefined, 'the CIDR is valid')
  const range = new AddressRange(cidr, { smallCIDR: 'usable', clock, cooldownMs: 0, random: seededRandom(SEED) })
  const seen = new Set<string>()
  for (let ip = range.claimNext(); ip !== undefined; ip = range.claimNext()) {
    check(!seen.has(ip), `${ip} was handed out twice`)
    seen.add(ip)
  }
  check(seen.size === 65_534, `every address was handed out, got ${seen.size}`)
  check(range.release('10.1.200.7') && range.claimNext() === '10.1.200.7', 'the only free address is found')
}

async function measure(bench: Bench, level: Level, fill: number): Promise<void> {
  const contender = LEVELS[level](fill)
  check(contender.held === held(fill), `${level}: ${held(fill)} addresses are held`)
  const gate = GATES[level]
  await bench.figure(
    { name: `${level}, ${fill * 100} % full`, unit: 'pairs/s', ...(gate !== undefined && { gate }) },
    () => (PAIRS[level] / threadMicros(() => contender.run(PAIRS[level]))) * MICROS_PER_SECOND,
  )
  check(contender.held === held(fill), `${level}: every pair gave back what it took`)
  if (level === 'bitmap' && fill === 0.99)
    await bench.figure(
      { name: 'bitmap of a /16', unit: 'bytes', gate: BITMAP_BYTES, rounds: 1 },
      () => contender.sizeBytes,
    )
}

await runBench('node-allocator', SEED, async (bench) => {
  checkRange()
  for (const level of ['bitmap', 'range', 'facade'] as const)
    for (const fill of FILLS) await measure(bench, level, fill)
})
