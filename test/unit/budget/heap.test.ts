import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap } from '../../../src/budget/heap.ts'

interface Item {
  readonly value: number
}

function drain(heap: Heap<Item>): number[] {
  const values: number[] = []
  for (let item = heap.peek(); item !== undefined; item = heap.peek()) {
    values.push(item.value)
    heap.delete(item)
  }
  return values
}

test('gives the items in order, whatever was removed from its middle before', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.boolean())), (entries) => {
      const heap = new Heap<Item>((a, b) => a.value < b.value)
      const items = entries.map(([value, isRemoved]) => ({ value, isRemoved }))
      for (const item of items) heap.push(item)
      for (const item of items) if (item.isRemoved) expect(heap.delete(item)).toBe(true)
      for (const item of items) expect(heap.has(item)).toBe(!item.isRemoved)
      const left = items.filter((item) => !item.isRemoved).map((item) => item.value)
      expect(heap.size).toBe(left.length)
      expect(drain(heap)).toEqual(left.sort((a, b) => a - b))
    }),
  )
})

test('removing what is not inside changes nothing', () => {
  const heap = new Heap<Item>((a, b) => a.value < b.value)
  heap.push({ value: 1 })
  expect(heap.delete({ value: 1 })).toBe(false)
  expect(heap.size).toBe(1)
})
