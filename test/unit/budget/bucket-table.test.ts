import { expect, test } from 'vitest'
import { assumedRate } from '../../../src/budget/bucket-table.ts'
import type { BucketTable } from '../../../src/budget/bucket-table.ts'

const documented = { size: 100, refillPerSecond: 5 }
const read = { size: 50, refillPerSecond: 10 }
const narrow = { size: 5, refillPerSecond: 1 }
const fallback = { size: 20, refillPerSecond: 4 }
const table: BucketTable = {
  refill: 'stepwise',
  buckets: { AssignPrivateIpAddresses: documented },
  families: { Describe: read, DescribeSpot: narrow },
  fallback,
}

test.each([
  {
    name: 'a line of its own',
    bucket: 'AssignPrivateIpAddresses',
    expected: { rate: documented, isDocumented: true },
  },
  { name: 'the family of its name', bucket: 'DescribeVolumes', expected: { rate: read, isDocumented: false } },
  { name: 'the longest prefix', bucket: 'DescribeSpotPrices', expected: { rate: narrow, isDocumented: false } },
  { name: 'the fallback', bucket: 'CopyImage', expected: { rate: fallback, isDocumented: false } },
  { name: 'no inherited property', bucket: 'constructor', expected: { rate: fallback, isDocumented: false } },
])('assumes $name', ({ bucket, expected }) => {
  expect(assumedRate(table, bucket)).toEqual(expected)
})
