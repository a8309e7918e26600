import { describe, expect, test } from 'vitest'
import { AddressSpace } from '../../../../simulators/aws/cloud/address-space.ts'
import { formatIPv4, parseBlock, parseIPv4 } from '../../../../simulators/kit/ipv4.ts'
import { randomInteger, seededRandom } from '../../../../simulators/kit/random.ts'

const spaceOf = (cidr: string): AddressSpace => {
  const block = parseBlock(cidr)
  if (block === undefined) throw new Error(cidr)
  return new AddressSpace(block)
}
const address = (text: string): number => {
  const parsed = parseIPv4(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

describe('AddressSpace', () => {
  test.each([
    ['10.0.0.0/28', 11, 0],
    ['10.0.0.0/24', 251, 14],
    ['10.0.0.0/16', 65531, 4094],
    ['255.255.255.0/24', 251, 14],
  ])('%s starts with %i free addresses and %i free blocks', (cidr, free, blocks) => {
    const space = spaceOf(cidr)
    expect([space.free, space.countFreeBlocks()]).toEqual([free, blocks])
  })

  test('keeps the first four addresses and the last for the service', () => {
    const space = spaceOf('10.0.0.0/24')
    const reserved = ['10.0.0.0', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.255']
    expect(reserved.map((one) => [space.isReserved(address(one)), space.take(address(one))])).toEqual(
      reserved.map(() => [true, false]),
    )
    expect(space.isReserved(address('10.0.0.4'))).toBe(false)
  })

  test('an address is taken once until it is given back', () => {
    const space = spaceOf('10.0.0.0/24')
    expect(space.take(address('10.0.0.7'))).toBe(true)
    expect(space.take(address('10.0.0.7'))).toBe(false)
    space.release(address('10.0.0.7'))
    expect(space.take(address('10.0.0.7'))).toBe(true)
  })

  test('a block is given only when none of its addresses is taken', () => {
    const space = spaceOf('10.0.0.0/24')
    space.take(address('10.0.0.40'))
    expect(space.takeBlock(address('10.0.0.32'))).toBe(false)
    expect(space.takeBlock(address('10.0.0.48'))).toBe(true)
    expect(formatIPv4(space.takeAnyBlock() ?? 0)).toBe('10.0.0.16')
    expect(formatIPv4(space.takeAnyBlock() ?? 0)).toBe('10.0.0.64')
    space.release(address('10.0.0.40'))
    expect(formatIPv4(space.takeAnyBlock() ?? 0)).toBe('10.0.0.32')
  })

  test('the last free address is found by random choice, however full the subnet is', () => {
    const space = spaceOf('10.0.0.0/16')
    const random = seededRandom(1)
    const last = address('10.0.200.77')
    for (let one = address('10.0.0.4'); one <= address('10.0.255.254'); one++) if (one !== last) space.take(one)
    expect(space.free).toBe(1)
    expect(space.takeAny('random', random)).toBe(last)
    expect(space.takeAny('random', random)).toBeUndefined()
    expect(space.takeAny('lowest', random)).toBeUndefined()
  })

  test('random choice reaches every free address about equally', () => {
    const counts = new Map<number, number>()
    const random = seededRandom(3)
    for (let round = 0; round < 5500; round++) {
      const found = spaceOf('10.0.0.0/28').takeAny('random', random) ?? 0
      counts.set(found, (counts.get(found) ?? 0) + 1)
    }
    expect(counts.size).toBe(11)
    expect(Math.min(...counts.values())).toBeGreaterThan(400)
    expect(Math.max(...counts.values())).toBeLessThan(600)
  })

  test.each([1, 2, 3, 4, 5])('agrees with a plain set over a long random run (seed %i)', (seed) => {
    const random = seededRandom(seed)
    const space = spaceOf('10.0.0.0/24')
    const base = space.block.base
    const taken = new Set([0, 1, 2, 3, 255])
    const singles: number[] = []
    const blocks: number[] = []
    for (let step = 0; step < 3000; step++) {
      switch (randomInteger(random, 5)) {
        case 0: {
          const found = space.takeAny(randomInteger(random, 2) === 0 ? 'random' : 'lowest', random)
          expect(found === undefined).toBe(taken.size === 256)
          if (found === undefined) break
          expect(taken.has(found - base)).toBe(false)
          taken.add(found - base)
          singles.push(found)
          break
        }
        case 1: {
          const found = space.takeAnyBlock()
          const free = (block: number): boolean =>
            Array.from({ length: 16 }, (_, at) => block * 16 + at).every((at) => !taken.has(at))
          const expected = Array.from({ length: 16 }, (_, block) => block).find(free)
          expect(found).toBe(expected === undefined ? undefined : base + expected * 16)
          if (found === undefined) break
          for (let at = 0; at < 16; at++) taken.add(found - base + at)
          blocks.push(found)
          break
        }
        case 2:
        case 3: {
          const [gone] = singles.splice(randomInteger(random, Math.max(1, singles.length)), 1)
          if (gone === undefined) break
          space.release(gone)
          taken.delete(gone - base)
          break
        }
        default: {
          const [gone] = blocks.splice(randomInteger(random, Math.max(1, blocks.length)), 1)
          if (gone === undefined) break
          space.releaseBlock(gone)
          for (let at = 0; at < 16; at++) taken.delete(gone - base + at)
        }
      }
      expect(space.free).toBe(256 - taken.size)
    }
  })
})

describe('ranges that are kept back', () => {
  test.each([1, 2, 3, 4])('agree with plain sets over a long random run (seed %i)', (seed) => {
    const random = seededRandom(seed)
    const space = spaceOf('10.0.0.0/24')
    const { base } = space.block
    const reserved = new Set([0, 1, 2, 3, 255])
    const taken = new Set(reserved)
    const ranges: { readonly first: number; readonly size: number; readonly isForPrefixes: boolean }[] = []
    const kept = (): Set<number> =>
      new Set(ranges.flatMap(({ first, size }) => Array.from({ length: size }, (_, at) => first + at)))
    const block = (index: number): number[] => Array.from({ length: 16 }, (_, at) => index * 16 + at)
    for (let step = 0; step < 2000; step++) {
      const keptNow = kept()
      const isOpen = (offset: number): boolean => !taken.has(offset) && !keptNow.has(offset)
      switch (randomInteger(random, 6)) {
        case 0: {
          const found = space.takeAny(randomInteger(random, 2) === 0 ? 'random' : 'lowest', random)
          const open = Array.from({ length: 256 }, (_, at) => at).some(isOpen)
          expect(found !== undefined).toBe(open)
          if (found === undefined) break
          expect(isOpen(found - base)).toBe(true)
          taken.add(found - base)
          break
        }
        case 1: {
          const isFree = (index: number): boolean => block(index).every((offset) => !taken.has(offset))
          const ofRanges = ranges
            .filter(({ isForPrefixes }) => isForPrefixes)
            .flatMap(({ first, size }) => Array.from({ length: size / 16 }, (_, at) => first / 16 + at))
            .filter(isFree)
          const open = Array.from({ length: 16 }, (_, at) => at).filter((index) => block(index).every(isOpen))
          expect(space.countFreeBlocks()).toBe(ofRanges.length + open.length)
          const found = space.takeAnyBlock()
          const [expected] = [...ofRanges, ...open]
          expect(found).toBe(expected === undefined ? undefined : base + expected * 16)
          if (expected !== undefined) for (const offset of block(expected)) taken.add(offset)
          break
        }
        case 2: {
          const first = randomInteger(random, 16) * 16
          const size = 16 * 2 ** randomInteger(random, 2)
          const overlaps = ranges.some((other) => first < other.first + other.size && other.first < first + size)
          if (overlaps || first % size !== 0) break
          const isForPrefixes = randomInteger(random, 2) === 0
          space.keepBack({ base: base + first, bits: 32 - Math.log2(size) }, isForPrefixes ? 'prefix' : 'explicit')
          ranges.push({ first, size, isForPrefixes })
          break
        }
        case 3: {
          const [gone] = ranges.splice(randomInteger(random, Math.max(1, ranges.length)), 1)
          if (gone === undefined) break
          space.giveOpen({ base: base + gone.first, bits: 32 - Math.log2(gone.size) })
          break
        }
        case 4: {
          const offset = randomInteger(random, 256)
          expect(space.take(base + offset)).toBe(!taken.has(offset))
          taken.add(offset)
          break
        }
        default: {
          const given = [...taken].filter((offset) => !reserved.has(offset))
          const gone = given[randomInteger(random, Math.max(1, given.length))]
          if (gone === undefined) break
          space.release(base + gone)
          taken.delete(gone)
        }
      }
      const keptAfter = kept()
      const free = Array.from({ length: 256 }, (_, at) => at).filter((at) => !taken.has(at) && !keptAfter.has(at))
      expect(space.free).toBe(free.length)
    }
  })
})

describe('IPv4 texts', () => {
  test.each([
    ['0.0.0.0', 0],
    ['10.0.0.1', 0x0a000001],
    ['255.255.255.255', 0xffffffff],
  ])('%s', (text, value) => {
    expect(parseIPv4(text)).toBe(value)
    expect(formatIPv4(value)).toBe(text)
  })

  test.each(['10.1', '010.0.0.1', '1.2.3.4.5', '256.0.0.1', ' 1.2.3.4', '1.2.3.', 'a.b.c.d', ''])(
    '%j is no address',
    (text) => {
      expect(parseIPv4(text)).toBeUndefined()
    },
  )

  test.each(['10.0.0.0', '10.0.0.1/24', '10.0.0.0/33', '10.0.0.0/024', '10.0.0.0/24/1', '/24'])(
    '%j is no block',
    (text) => {
      expect(parseBlock(text)).toBeUndefined()
    },
  )
})
