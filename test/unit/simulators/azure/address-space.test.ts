import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { AddressSpace } from '../../../../simulators/azure/cloud/address-space.ts'
import { PREFIX_SIZE } from '../../../../simulators/kit/ipv4.ts'
import { Schedule } from '../../../../simulators/azure/cloud/schedule.ts'
import { seededRandom } from '../../../../simulators/kit/random.ts'

const BASE = 10 * 2 ** 24
const random = seededRandom(1)

test.each([
  [29, 3],
  [28, 11],
  [24, 251],
  [16, 65_531],
])('a /%i has %i addresses to give: five are reserved', (bits, capacity) => {
  const space = new AddressSpace({ base: BASE, bits })
  expect([space.capacity, space.free]).toEqual([capacity, capacity])
  const given: (number | undefined)[] = []
  for (let count = 0; count <= capacity; count++) given.push(space.takeAny('lowest', random))
  expect(given[0]).toBe(BASE + 4)
  expect(given[capacity - 1]).toBe(BASE + 2 ** (32 - bits) - 2)
  expect(given[capacity]).toBeUndefined()
})

interface Step {
  readonly kind: 'any' | 'scattered' | 'block' | 'take' | 'release'
  /** Of takes and releases. */
  readonly offset: number
}

/** The same by looking at every address. */
class Plain {
  readonly taken: boolean[]
  constructor(size: number) {
    this.taken = Array.from({ length: size }, (_, at) => at < 4 || at === size - 1)
  }
  lowest(): number {
    return this.taken.indexOf(false)
  }
  lowestBlock(): number {
    for (let at = 0; at + PREFIX_SIZE <= this.taken.length; at += PREFIX_SIZE) {
      if (!this.taken.slice(at, at + PREFIX_SIZE).includes(true)) return at
    }
    return -1
  }
}

test('agrees with a plain model over any run of takes and releases', () => {
  const offset = fc.nat(255)
  const kind = fc.constantFrom<Step['kind'][]>('any', 'scattered', 'block', 'take', 'release')
  const step: fc.Arbitrary<Step> = fc.record({ kind, offset })
  fc.assert(
    fc.property(fc.constantFrom(24, 27, 28, 29), fc.array(step, { maxLength: 120 }), (bits, steps) => {
      const size = 2 ** (32 - bits)
      const space = new AddressSpace({ base: BASE, bits })
      const plain = new Plain(size)
      for (const one of steps) {
        if (one.kind === 'any') {
          const wanted = plain.lowest()
          expect(space.takeAny('lowest', random)).toBe(wanted < 0 ? undefined : BASE + wanted)
          if (wanted >= 0) plain.taken[wanted] = true
        } else if (one.kind === 'scattered') {
          const address = space.takeAny('random', random)
          expect(address === undefined).toBe(plain.lowest() < 0)
          if (address !== undefined) {
            expect(plain.taken[address - BASE]).toBe(false)
            plain.taken[address - BASE] = true
          }
        } else if (one.kind === 'block') {
          const first = plain.lowestBlock()
          expect(space.takeAnyBlock()).toBe(first < 0 ? undefined : BASE + first)
          if (first >= 0) plain.taken.fill(true, first, first + PREFIX_SIZE)
        } else if (one.offset < size && !space.isReserved(BASE + one.offset)) {
          if (one.kind === 'take') expect(space.take(BASE + one.offset)).toBe(!plain.taken[one.offset])
          else space.release(BASE + one.offset)
          plain.taken[one.offset] = one.kind === 'take'
        }
        expect(space.free).toBe(plain.taken.filter((taken) => !taken).length)
      }
    }),
    { numRuns: 200, seed: 1 },
  )
})

test('a schedule runs what is due by time, in order of entry at the same moment', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 60 }), fc.nat(20), (times, now) => {
      const schedule = new Schedule()
      const ran: [number, number][] = []
      times.forEach((at, order) => schedule.add(at, () => ran.push([at, order])))
      schedule.runDue(now)
      const due = times.map((at, order): [number, number] => [at, order]).filter(([at]) => at <= now)
      expect(ran).toEqual(due.sort((a, b) => a[0] - b[0] || a[1] - b[1]))
      expect(schedule.size).toBe(times.length - due.length)
    }),
    { seed: 1 },
  )
})

test('what a due entry adds runs in the same turn when it is due too', () => {
  const schedule = new Schedule()
  const ran: string[] = []
  schedule.add(1, () => schedule.add(2, () => ran.push('second')))
  schedule.add(1, () => schedule.add(9, () => ran.push('later')))
  schedule.runDue(5)
  expect(ran).toEqual(['second'])
})
