import { describe, expect, test } from 'vitest'
import type { DestructionGuard, DestructionResult, DestructiveCall } from '../../../src/ipam/destruction.ts'
import { guarded } from '../../../src/ipam/destruction.ts'

const CALL: DestructiveCall = {
  action: 'UnassignPrivateIpAddresses',
  reason: 'excess',
  subject: { node: 'node-1', addresses: ['10.0.0.5'] },
  proof: { basis: 'agent-gave-up', readStartedAtMs: 2, sinceMs: 1, seen: {} },
}

function recorder() {
  const steps: string[] = []
  const guard: DestructionGuard = {
    began: ({ action }) => {
      steps.push(`began ${action}`)
      return (result: DestructionResult) =>
        void steps.push(result.kind === 'done' ? 'done' : `failed: ${String(result.error)}`)
    },
  }
  const send = async (): Promise<string> => {
    steps.push('sent')
    await Promise.resolve()
    return 'answer'
  }
  return { steps, guard, send }
}

describe('a call through the guard', () => {
  test('is announced before it is sent, and its end is told', async () => {
    const { steps, guard, send } = recorder()
    expect(await guarded(guard, CALL, send)).toBe('answer')
    expect(steps).toEqual(['began UnassignPrivateIpAddresses', 'sent', 'done'])
  })

  test('that fails is told as failed, and fails', async () => {
    const { steps, guard } = recorder()
    await expect(guarded(guard, CALL, () => Promise.reject(new Error('lost answer')))).rejects.toThrow('lost answer')
    expect(steps).toEqual(['began UnassignPrivateIpAddresses', 'failed: Error: lost answer'])
  })

  test('that the guard refuses is never sent', async () => {
    const { steps, send } = recorder()
    const refusing: DestructionGuard = {
      began: () => {
        throw new Error('paused')
      },
    }
    await expect(guarded(refusing, CALL, send)).rejects.toThrow('paused')
    expect(steps).toEqual([])
  })

  test('goes out at once where there is none', async () => {
    const { steps, send } = recorder()
    expect(await guarded(undefined, CALL, send)).toBe('answer')
    expect(steps).toEqual(['sent'])
  })
})
