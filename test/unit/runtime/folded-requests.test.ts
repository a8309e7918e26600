import { describe, expect, test } from 'vitest'
import type { CallContext, CallPriority } from '../../../src/runtime/call-priority.ts'
import { FoldedRequests, type FoldedRequestsOptions } from '../../../src/runtime/folded-requests.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const WINDOW_MS = 1000

function makeFolded(
  takesMs = 0,
  fails: (key: string) => boolean = () => false,
  options: Pick<FoldedRequestsOptions<string>, 'mayOverlap' | 'maxKeys'> = {},
) {
  const clock = new ManualClock()
  const process = new AbortController()
  const runs: {
    readonly atMs: number
    readonly keys: string
    readonly priority: CallPriority
    readonly signal: AbortSignal
  }[] = []
  const folded = new FoldedRequests<string>({
    clock,
    signal: process.signal,
    windowMs: WINDOW_MS,
    ...options,
    groupOf: (key) => key.split('/')[0] ?? '',
    serve(keys, { priority, signal }) {
      runs.push({ atMs: clock.now(), keys: keys.join(' '), priority, signal })
      const number = runs.length
      return new Map(
        keys.map((key) => [
          key,
          clock.sleep(takesMs, signal).then(() => {
            if (fails(key)) throw new Error(`${key} failed`)
            return `${key} of run ${number}`
          }),
        ]),
      )
    },
  })
  const ask = (key: string, priority: CallPriority = 'background', signal = new AbortController().signal) => {
    const context: CallContext = { priority, reason: 'test', signal }
    const answer = folded.request(key, context)
    answer.catch(() => undefined)
    return answer
  }
  return { clock, process, runs, ask, seen: () => runs.map(({ atMs, keys }) => `${atMs}: ${keys}`) }
}

describe('requests', () => {
  test('made together are served together, once for each key, at once', async () => {
    const { clock, ask, seen } = makeFolded()
    const answers = [ask('g/b'), ask('g/a'), ask('g/b')]
    await clock.advance(0)
    expect(seen()).toEqual(['0: g/a g/b'])
    expect(await Promise.all(answers)).toEqual(['g/b of run 1', 'g/a of run 1', 'g/b of run 1'])
  })

  test('within the window share the next run', async () => {
    const { clock, ask, seen } = makeFolded()
    void ask('g/a')
    await clock.advance(100)
    void ask('g/b')
    await clock.advance(100)
    void ask('g/a')
    await clock.advance(5000)
    void ask('g/c')
    await clock.advance(5000)
    expect(seen()).toEqual(['0: g/a', '1000: g/a g/b', '5200: g/c'])
  })

  test('during a run wait for its end, so that runs grow when they are slow', async () => {
    const { clock, ask, seen } = makeFolded(4000)
    void ask('g/a')
    await clock.advance(1500)
    void ask('g/b')
    await clock.advance(1500)
    void ask('g/c')
    await clock.advance(8000)
    expect(seen()).toEqual(['0: g/a', '4000: g/b g/c'])
  })

  test('during a run do not wait for its end where runs may overlap, and still share the window', async () => {
    const { clock, ask, seen } = makeFolded(4000, () => false, { mayOverlap: true })
    const first = ask('g/a')
    await clock.advance(1500)
    void ask('g/b')
    await clock.advance(100)
    void ask('g/c')
    void ask('g/a')
    await clock.advance(8000)
    expect(seen()).toEqual(['0: g/a', '1500: g/b', '2500: g/a g/c'])
    expect(await first).toBe('g/a of run 1')
  })

  test('beyond the keys of a run are served beside it, each as urgent as its own callers', async () => {
    const { clock, ask, runs, seen } = makeFolded(4000, () => false, { maxKeys: 2 })
    const answers = [ask('g/c', 'pod-waiting'), ask('g/a'), ask('g/b')]
    await clock.advance(0)
    expect(seen()).toEqual(['0: g/a g/b', '0: g/c'])
    expect(runs.map(({ priority }) => priority)).toEqual(['background', 'pod-waiting'])
    await clock.advance(4000)
    expect(await Promise.all(answers)).toEqual(['g/c of run 2', 'g/a of run 1', 'g/b of run 1'])
  })

  test('of other groups do not wait', async () => {
    const { clock, ask, seen } = makeFolded(4000)
    void ask('g/a')
    void ask('h/a')
    await clock.advance(0)
    expect(seen()).toEqual(['0: g/a', '0: h/a'])
  })

  test('are as urgent as the most urgent', async () => {
    const { clock, ask, runs } = makeFolded()
    void ask('g/a')
    void ask('g/b', 'pod-waiting')
    await clock.advance(0)
    expect(runs[0]?.priority).toBe('pod-waiting')
  })

  test('fail by themselves', async () => {
    const { clock, ask } = makeFolded(10, (key) => key === 'g/a')
    const [failing, other] = [ask('g/a'), ask('g/b')]
    await clock.advance(10)
    await expect(failing).rejects.toThrow('g/a failed')
    expect(await other).toBe('g/b of run 1')
  })
})

describe('a caller that goes', () => {
  test('ends a run only when it was the last one', async () => {
    const { clock, ask, runs } = makeFolded(4000)
    const [one, two] = [new AbortController(), new AbortController()]
    const first = ask('g/a', 'background', one.signal)
    void ask('g/b', 'background', two.signal)
    await clock.advance(100)
    one.abort(new Error('gone'))
    await expect(first).rejects.toThrow('gone')
    expect(runs[0]?.signal.aborted).toBe(false)
    two.abort(new Error('gone too'))
    expect(runs[0]?.signal.aborted).toBe(true)
  })

  test('before the run is not served', async () => {
    const { clock, ask, seen } = makeFolded()
    void ask('g/a')
    await clock.advance(100)
    const gone = new AbortController()
    void ask('g/b', 'background', gone.signal)
    gone.abort(new Error('gone'))
    await clock.advance(5000)
    expect(seen()).toEqual(['0: g/a'])
  })
})

test('the end of the process ends all waiting', async () => {
  const { clock, process, ask } = makeFolded()
  void ask('g/a')
  await clock.advance(100)
  const waiting = ask('g/b')
  await clock.advance(100)
  process.abort(new Error('stopping'))
  await expect(waiting).rejects.toThrow('stopping')
})
