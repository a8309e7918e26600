import { describe, expect, test } from 'vitest'
import { nodeGCAction } from '../../../src/controller/node-gc.ts'
import type { ControllerConfig } from '../../../src/controller/options.ts'
import { isPausedByAnnotation, PAUSE_ANNOTATION, pausedConfig } from '../../../src/controller/pause.ts'

describe('the annotation of a pause', () => {
  test.each([
    ['true', true],
    ['True', true],
    ['yes', true],
    ['', true],
    ['false', false],
    ['FALSE', false],
  ])('with the value %j pauses: %j', (value, isPaused) => {
    expect(isPausedByAnnotation({ annotations: { [PAUSE_ANNOTATION]: value } })).toBe(isPaused)
  })

  test('that is not there does not', () => {
    expect(isPausedByAnnotation({ annotations: { 'ipam.cilium.io/ignore': 'true' } })).toBe(false)
  })

  test('keeps a CiliumNode whose Kubernetes node is gone', () => {
    const due = { kubernetesNodeExists: false, markedAtMs: 0, nowMs: 600_001, intervalMs: 300_000 }
    const node = (annotations: Record<string, string>) => ({ ownerReferenceCount: 0, annotations })
    expect(nodeGCAction({ ...due, node: node({}) })).toBe('delete')
    expect(nodeGCAction({ ...due, node: node({ [PAUSE_ANNOTATION]: 'true' }) })).toBe('none')
  })
})

test('what holds for a paused node differs in nothing but release', () => {
  const config: ControllerConfig = {
    parallelAllocWorkers: 50,
    releaseExcessIPs: true,
    excessIPReleaseDelayMs: 180_000,
    prefixDelegation: true,
    profile: 'latest',
    destructiveCallsPerMinute: 60,
  }
  expect(pausedConfig(config)).toEqual({ ...config, releaseExcessIPs: false, destructiveCallsPerMinute: 0 })
})
