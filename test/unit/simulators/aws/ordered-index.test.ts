import { describe, expect, test } from 'vitest'
import { Delayed } from '../../../../simulators/aws/cloud/delayed.ts'
import { OrderedIndex } from '../../../../simulators/aws/cloud/ordered-index.ts'
import { randomInteger, seededRandom } from '../../../../simulators/kit/random.ts'

const item = (ordinal: number) => ({ ordinal })

describe('OrderedIndex', () => {
  test('starts anywhere, also where an item was removed', () => {
    const index = new OrderedIndex<{ ordinal: number }>()
    const items = [1, 3, 5, 7].map(item)
    for (const one of items) index.add(one)
    index.delete(items[1]!)
    expect([...index.after(1)].map((one) => one.ordinal)).toEqual([5, 7])
    expect([...index.after(4)].map((one) => one.ordinal)).toEqual([5, 7])
    expect([...index.after(7)]).toEqual([])
    expect(index.size).toBe(3)
  })

  test('an older item is put back in its place, once', () => {
    const index = new OrderedIndex<{ ordinal: number }>()
    const [first, second, third] = [item(1), item(2), item(3)]
    index.add(first)
    index.add(third)
    index.add(second)
    index.add(second)
    index.delete(first)
    index.add(first)
    expect([...index].map((one) => one.ordinal)).toEqual([1, 2, 3])
    expect(index.size).toBe(3)
  })

  test('agrees with a sorted set over a long random run', () => {
    const random = seededRandom(9)
    const index = new OrderedIndex<{ ordinal: number }>()
    const all = Array.from({ length: 400 }, (_, ordinal) => item(ordinal))
    const inside = new Set<{ ordinal: number }>()
    for (let step = 0; step < 5000; step++) {
      const one = all[randomInteger(random, all.length)]!
      // Removing more often than adding empties it now and then, so that holes are squeezed out.
      if (randomInteger(random, 100) < (step % 1000 < 600 ? 70 : 10)) {
        index.add(one)
        inside.add(one)
      } else {
        index.delete(one)
        inside.delete(one)
      }
      expect(index.size).toBe(inside.size)
    }
    const sorted = [...inside].sort((a, b) => a.ordinal - b.ordinal)
    expect([...index]).toEqual(sorted)
    expect([...index.after(200)]).toEqual(sorted.filter((one) => one.ordinal > 200))
  })
})

describe('Delayed', () => {
  test('shows the value as it was so long ago', () => {
    const value = new Delayed<string>()
    value.changing('a', 0, 100) // a → b at 0
    value.changing('b', 50, 100) // b → c at 50
    expect([0, 99, 100, 149, 150].map((nowMs) => value.seen('c', nowMs))).toEqual(['a', 'a', 'b', 'b', 'c'])
  })

  test('without a delay the current value is seen', () => {
    const value = new Delayed<string>()
    value.changing('a', 0, 0)
    expect(value.seen('b', 0)).toBe('b')
  })
})
