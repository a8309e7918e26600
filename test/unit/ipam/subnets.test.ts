import { describe, expect, test } from 'vitest'
import { firstSubnetWithAvailableAddresses, tagsMatch } from '../../../src/ipam/subnets.ts'
import type { Tags } from '../../../src/ipam/types.ts'

test.each<{ name: string; required: Tags; tags: Tags; match: boolean }>([
  { name: 'an empty requirement', required: {}, tags: { a: 'b' }, match: true },
  { name: 'all required tags', required: { a: '1', b: '2' }, tags: { a: '1', b: '2', c: '3' }, match: true },
  { name: 'a missing tag', required: { a: '1', b: '2' }, tags: { a: '1' }, match: false },
  { name: 'another value', required: { a: '1' }, tags: { a: '2' }, match: false },
  { name: 'a required empty value', required: { a: '' }, tags: { a: '' }, match: true },
  { name: 'an absent tag where an empty value is required', required: { a: '' }, tags: {}, match: false },
  { name: 'a tag named like a member of every object', required: { toString: 'x' }, tags: {}, match: false },
])('tagsMatch: $name → $match', ({ required, tags, match }) => {
  expect(tagsMatch(required, tags)).toBe(match)
})

describe('firstSubnetWithAvailableAddresses', () => {
  const subnets = (available: Record<string, number>) =>
    new Map(Object.entries(available).map(([id, availableAddresses]) => [id, { availableAddresses }]))

  test.each([
    {
      name: 'the first preferred one with room',
      available: { a: 9, b: 0, c: 4, d: 7 },
      preferred: ['b', 'd', 'c'],
      poolID: 'd',
    },
    { name: 'another one when the preferred are full', available: { z: 5, c: 3, b: 0 }, preferred: ['b'], poolID: 'c' },
    { name: 'another one when the preferred do not exist', available: { s1: 3 }, preferred: ['s9'], poolID: 's1' },
    { name: 'none without room', available: { s0: 0, s1: 0 }, preferred: ['s0'], poolID: '' },
    { name: 'none without subnets', available: {}, preferred: [], poolID: '' },
  ])('takes $name', ({ available, preferred, poolID }) => {
    const room = (available as Record<string, number>)[poolID] ?? 0
    expect(firstSubnetWithAvailableAddresses(preferred, subnets(available))).toEqual({
      poolID,
      availableAddresses: room,
    })
  })
})
