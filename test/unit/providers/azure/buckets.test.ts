import { expect, test } from 'vitest'
import { AZURE_BUCKETS, AZURE_OPERATIONS, bucketsOf, type AzureOperation } from '../../../../providers/azure/buckets.ts'

const operations = Object.keys(AZURE_OPERATIONS) as AzureOperation[]

test.each(operations)(
  '%s draws on documented buckets, one of Resource Manager and one of its provider',
  (operation) => {
    const [manager, provider, ...more] = bucketsOf(operation).map(({ bucket }) => bucket)
    expect(manager).toMatch(/^subscription-(reads|writes)$/)
    expect(provider).toMatch(/^Microsoft\.(Compute|Network)\//)
    expect(more).toEqual([])
    for (const bucket of [manager, provider]) expect(Object.keys(AZURE_BUCKETS.buckets)).toContain(bucket)
  },
)

test('every documented bucket is drawn on', () => {
  const used = new Set(operations.flatMap((operation) => bucketsOf(operation).map(({ bucket }) => bucket)))
  expect(Object.keys(AZURE_BUCKETS.buckets).filter((bucket) => !used.has(bucket))).toEqual([])
})
