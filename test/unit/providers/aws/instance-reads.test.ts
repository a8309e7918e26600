import { describe, expect, test } from 'vitest'
import { InstanceReads } from '../../../../providers/aws/instance-reads.ts'
import type { SyncResult } from '../../../../src/ipam/contracts.ts'
import type { CallContext } from '../../../../src/runtime/call-priority.ts'
import { contextOf } from '../../../conformance/adapters/aws-node.ts'
import { ManualClock, settle } from '../../../support/manual-clock.ts'

function world() {
  const clock = new ManualClock()
  const reads: { readonly instanceIDs: readonly string[]; readonly context: CallContext; readonly atMs: number }[] = []
  const state: { failure?: Error; latencyMs: number } = { latencyMs: 0 }
  const folding = new InstanceReads({
    clock,
    signal: new AbortController().signal,
    read: async (instanceIDs, context): Promise<SyncResult> => {
      const startedAtMs = clock.now()
      reads.push({ instanceIDs, context, atMs: startedAtMs })
      if (state.latencyMs > 0) await clock.sleep(state.latencyMs, context.signal)
      await Promise.resolve()
      if (state.failure !== undefined) throw state.failure
      return { startedAtMs, changedInstanceIDs: instanceIDs.filter((id) => id.endsWith('1')) }
    },
  })
  return { clock, reads, state, folding }
}

describe('reads of instances', () => {
  test('a single one goes out at once', async () => {
    const { folding, reads } = world()
    expect(await folding.request('i-1', contextOf())).toEqual({ startedAtMs: 0, changedInstanceIDs: ['i-1'] })
    expect(reads.map(({ instanceIDs }) => instanceIDs)).toEqual([['i-1']])
  })

  test('those asked for together share one, each learns of itself alone', async () => {
    const { folding, reads } = world()
    const results = await Promise.all(['i-2', 'i-1', 'i-1'].map((id) => folding.request(id, contextOf())))
    expect(reads.map(({ instanceIDs }) => instanceIDs)).toEqual([['i-1', 'i-2']])
    expect(results.map(({ changedInstanceIDs }) => changedInstanceIDs)).toEqual([[], ['i-1'], ['i-1']])
  })

  test('those asked for within a second after it share the next', async () => {
    const { clock, folding, reads } = world()
    await folding.request('i-1', contextOf())
    const later = [folding.request('i-2', contextOf())]
    await clock.advance(500)
    later.push(folding.request('i-3', contextOf()))
    await clock.advance(499)
    expect(reads).toHaveLength(1)
    await clock.advance(1)
    await Promise.all(later)
    expect(reads.map(({ instanceIDs, atMs }) => [atMs, instanceIDs])).toEqual([
      [0, ['i-1']],
      [1000, ['i-2', 'i-3']],
    ])
  })

  test('one that is asked for while its read is under way gets a newer one', async () => {
    const { clock, folding, reads, state } = world()
    state.latencyMs = 5000
    const first = folding.request('i-1', contextOf())
    await clock.advance(1500)
    const second = folding.request('i-1', contextOf())
    await clock.advance(10_000)
    expect((await first).startedAtMs).toBe(0)
    expect((await second).startedAtMs).toBe(1500)
    expect(reads).toHaveLength(2)
  })

  test('200 share one request, a thousand need five', async () => {
    const { folding, reads } = world()
    const ids = Array.from({ length: 1000 }, (_, index) => `i-${String(index).padStart(4, '0')}`)
    await Promise.all(ids.map((id) => folding.request(id, contextOf())))
    expect(reads.map(({ instanceIDs }) => instanceIDs.length)).toEqual([200, 200, 200, 200, 200])
    expect(reads.flatMap(({ instanceIDs }) => instanceIDs)).toEqual(ids)
  })

  test('the most urgent of those who share it sets its priority', async () => {
    const { folding, reads } = world()
    await Promise.all([
      folding.request('i-1', { ...contextOf(), priority: 'background' }),
      folding.request('i-2', { ...contextOf(), priority: 'pod-waiting' }),
    ])
    expect(reads[0]?.context.priority).toBe('pod-waiting')
  })

  test('a failure reaches everybody who shared it, and the next read is tried anew', async () => {
    const { clock, folding, state } = world()
    state.failure = new Error('throttled')
    const results = await Promise.allSettled(['i-1', 'i-2'].map((id) => folding.request(id, contextOf())))
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    delete state.failure
    const next = folding.request('i-1', contextOf())
    await clock.advance(1000)
    expect((await next).startedAtMs).toBe(1000)
  })

  test('one who leaves does not take the read from the others; the last one ends it', async () => {
    const { clock, folding, reads, state } = world()
    state.latencyMs = 5000
    const [first, second] = [new AbortController(), new AbortController()]
    const requests = [first, second].map(({ signal }, index) => folding.request(`i-${index}`, contextOf(signal)))
    for (const request of requests) request.catch(() => undefined)
    await settle()
    first.abort(new Error('first left'))
    await expect(requests[0]).rejects.toThrow('first left')
    expect(reads[0]?.context.signal.aborted).toBe(false)
    second.abort(new Error('second left'))
    await expect(requests[1]).rejects.toThrow('second left')
    expect(reads[0]?.context.signal.aborted).toBe(true)
    await clock.advance(1000)
    state.latencyMs = 0
    expect(await folding.request('i-3', contextOf())).toMatchObject({ changedInstanceIDs: [] })
  })

  test('one who has left already asks for nothing', async () => {
    const { folding, reads, state } = world()
    state.failure = new Error('never seen')
    const gone = AbortSignal.abort(new Error('node deleted'))
    await expect(folding.request('i-1', contextOf(gone))).rejects.toThrow('node deleted')
    await settle()
    expect(reads).toEqual([])
  })
})
