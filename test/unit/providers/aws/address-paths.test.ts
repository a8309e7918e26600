import { describe, expect, test } from 'vitest'
import { AddressPaths } from '../../../../providers/aws/address-paths.ts'
import type { BudgetRequest } from '../../../../src/budget/contracts.ts'

/** Waits a second for each token above what the bucket has. */
function budgetWith(tokens: Readonly<Record<string, number>>) {
  return {
    expectedWaitMs: ({ buckets }: Pick<BudgetRequest, 'buckets' | 'priority'>): number =>
      Math.max(...buckets.map(({ bucket, cost }) => Math.max(cost - (tokens[bucket] ?? 0), 0) * 1000)),
  }
}

describe('AddressPaths', () => {
  test('assigning waits for its own bucket alone', () => {
    const paths = new AddressPaths(budgetWith({ AssignPrivateIpAddresses: 1 }))
    expect(paths.expectedWaitMs('allocate', 'watermark')).toBe(0)
    expect(paths.expectedWaitMs('createInterface', 'watermark')).toBe(1000)
  })

  test.each([
    { scarce: 'CreateNetworkInterface', ample: 'AttachNetworkInterface' },
    { scarce: 'AttachNetworkInterface', ample: 'CreateNetworkInterface' },
  ])('a new interface waits for $scarce, however full $ample is', ({ scarce, ample }) => {
    const paths = new AddressPaths(budgetWith({ [scarce]: 0, [ample]: 9, AssignPrivateIpAddresses: 9 }))
    expect(paths.expectedWaitMs('createInterface', 'watermark')).toBe(1000)
  })

  test('creations that are not being attached yet are ahead at the attachment, each once', () => {
    const paths = new AddressPaths(budgetWith({ CreateNetworkInterface: 99, AttachNetworkInterface: 2 }))
    const first = paths.creationStarted('watermark')
    const second = paths.creationStarted('watermark')
    expect(paths.expectedWaitMs('createInterface', 'watermark')).toBe(1000)
    first()
    first()
    expect(paths.expectedWaitMs('createInterface', 'watermark')).toBe(0)
    second()
    paths.creationStarted('watermark')
    paths.creationStarted('watermark')
    paths.creationStarted('watermark')
    expect(paths.expectedWaitMs('createInterface', 'watermark')).toBe(2000)
  })

  test('creations of less urgent nodes are not ahead of those that a pod waits for', () => {
    const paths = new AddressPaths(budgetWith({ CreateNetworkInterface: 99, AttachNetworkInterface: 1 }))
    for (let count = 0; count < 50; count++) paths.creationStarted('below-minimum')
    paths.creationStarted('pod-waiting')
    expect(paths.expectedWaitMs('createInterface', 'pod-waiting')).toBe(1000)
    expect(paths.expectedWaitMs('createInterface', 'below-minimum')).toBe(51_000)
  })
})
