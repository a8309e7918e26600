import { describe, expect, test } from 'vitest'
import type { WriteTarget } from '../../../../providers/azure/api.ts'
import { DocumentWriter, type DocumentChange } from '../../../../providers/azure/document-writer.ts'
import { refusalError } from '../../../../providers/azure/errors.ts'
import { OPERATION_TIMED_OUT } from '../../../../providers/azure/operation-follower.ts'
import { CloudAPIError } from '../../../../src/ipam/errors.ts'
import type { DestructionResult } from '../../../../src/ipam/destruction.ts'
import type { JSONObject } from '../../../../src/ipam/types.ts'
import type { CallContext, CallPriority } from '../../../../src/runtime/call-priority.ts'
import { seededRandom } from '../../../../src/runtime/random.ts'
import { SILENT } from '../../../conformance/adapters/aws-node.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

const target = (key: string): WriteTarget => ({ kind: 'interface', path: key, key })
const CONTEXT: CallContext = { priority: 'watermark', reason: 'test', signal: new AbortController().signal }
const OPERATION_MS = 5000

/** Adds a member to a document, unless it is there. */
const adds = (name: string): DocumentChange => ({
  edit: (document) => (name in document ? undefined : { ...document, [name]: true }),
})

function refused(status: number | undefined, code: string, retryAfterMs?: number): CloudAPIError {
  return refusalError('x', { code, message: code, outerCode: code, target: '' }, { status, retryAfterMs })
}

const LOST = new CloudAPIError('no answer', { kind: 'unavailable', code: '', action: 'x' })

/** What the n-th write meets: refused at once, failed at its end, or lost with or without its effect. */
type Fate =
  | { readonly refused: CloudAPIError }
  | { readonly fails: CloudAPIError }
  | 'lost with its effect'
  | 'lost without effect'
  | 'fine'

/** Documents that a write replaces after five seconds, each write by its fate. */
function makeWorld(fates: readonly Fate[] = []) {
  const clock = new ManualClock()
  const documents = new Map<string, JSONObject>()
  const writes: {
    readonly atS: number
    readonly key: string
    readonly members: string
    readonly priority: CallPriority
  }[] = []
  const reads: string[] = []
  let running = 0
  let most = 0
  const documentOf = (key: string): JSONObject => documents.get(key) ?? { etag: '0' }
  const isRunning = new Map<string, number>()
  const settled = async (key: string, signal: AbortSignal): Promise<void> => {
    running += 1
    most = Math.max(most, running)
    try {
      await clock.sleep(Math.max(0, (isRunning.get(key) ?? 0) - clock.now()), signal)
    } finally {
      running -= 1
    }
  }
  const writer = new DocumentWriter({
    api: {
      caller: { measured: (_operation: string, work: () => Promise<unknown>) => work() } as never,
      readTarget: async ({ key }) => {
        reads.push(key)
        const isUnderWay = (isRunning.get(key) ?? 0) > clock.now()
        return { ...documentOf(key), properties: { provisioningState: isUnderWay ? 'Updating' : 'Succeeded' } }
      },
      writeTarget: async ({ key }, document, { priority }, admit) => {
        admit?.()
        const fate = fates[writes.length] ?? 'fine'
        const members = Object.keys(document)
          .filter((name) => !['etag', 'properties'].includes(name))
          .join(' ')
        writes.push({ atS: clock.now() / 1000, key, members, priority })
        if (fate === 'lost without effect') throw LOST
        if (typeof fate === 'object' && 'refused' in fate) throw fate.refused
        isRunning.set(key, clock.now() + OPERATION_MS)
        if (fate === 'fine' || fate === 'lost with its effect') documents.set(key, document)
        if (fate === 'lost with its effect') throw LOST
        return { status: 200, header: () => undefined, body: `${writes.length - 1}` }
      },
    },
    follower: {
      follow: async ({ key }, { body }, { signal }) => {
        await settled(key, signal)
        const fate = fates[Number(body)]
        if (typeof fate === 'object' && 'fails' in fate) throw fate.fails
      },
      settle: ({ key }, { signal }) => settled(key, signal),
    },
    clock,
    random: seededRandom(1),
    log: SILENT,
  })
  const driven = async <T>(work: Promise<T>): Promise<T> => {
    work.catch(() => undefined)
    for (let waited = 0; waited < 900; waited++) await clock.advance(250)
    return work
  }
  return {
    writer,
    clock,
    writes,
    reads,
    driven,
    setDocument: (key: string, document: JSONObject) => documents.set(key, document),
    documentOf,
    isWrittenUntil: (key: string, untilMs: number) => isRunning.set(key, untilMs),
    most: () => most,
  }
}

describe('changes of one document', () => {
  test('that are made together go out in one write', async () => {
    const { writer, writes, driven } = makeWorld()
    await driven(Promise.all(['a', 'b', 'c'].map((name) => writer.change(target('nic'), adds(name), CONTEXT))))
    expect(writes.map(({ members }) => members)).toEqual(['a b c'])
  })

  test('that arrive during a write go out together in the next one, as urgent as the most urgent', async () => {
    const { writer, writes, clock, driven, most } = makeWorld()
    const first = writer.change(target('nic'), adds('a'), CONTEXT)
    await clock.advance(1000)
    expect(writer.pendingCount).toBe(1)
    const more = [
      writer.change(target('nic'), adds('b'), CONTEXT),
      writer.change(target('nic'), adds('c'), { ...CONTEXT, priority: 'pod-waiting' }),
    ]
    await driven(Promise.all([first, ...more]))
    expect(writes.map(({ atS, members, priority }) => [atS, members, priority])).toEqual([
      [0, 'a', 'watermark'],
      [5, 'a b c', 'pod-waiting'],
    ])
    expect([most(), writer.pendingCount]).toEqual([1, 0])
  })

  test('do not wait for those of another one', async () => {
    const { writer, writes, driven } = makeWorld()
    await driven(Promise.all(['x', 'y'].map((key) => writer.change(target(key), adds('a'), CONTEXT))))
    expect(writes.map(({ atS, key }) => [atS, key])).toEqual([
      [0, 'x'],
      [0, 'y'],
    ])
  })

  test('that it has already are not written', async () => {
    const { writer, writes, driven, setDocument } = makeWorld()
    setDocument('nic', { a: true })
    await driven(writer.change(target('nic'), adds('a'), CONTEXT))
    expect(writes).toEqual([])
  })

  test('that it cannot have fail alone', async () => {
    const { writer, writes, driven } = makeWorld()
    const bad: DocumentChange = {
      edit: () => {
        throw refused(undefined, 'PrimaryReleaseRefused')
      },
    }
    const results = await driven(
      Promise.allSettled([
        writer.change(target('nic'), bad, CONTEXT),
        writer.change(target('nic'), adds('b'), CONTEXT),
      ]),
    )
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(writes.map(({ members }) => members)).toEqual(['b'])
  })

  test('that Azure refuses together are tried one by one, so that a bad one spoils no other', async () => {
    const full = { fails: refused(undefined, 'SubnetIsFull') }
    const { writer, writes, driven } = makeWorld([full, full, 'fine'])
    const results = await driven(
      Promise.allSettled(['a', 'b'].map((name) => writer.change(target('nic'), adds(name), CONTEXT))),
    )
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(writes.map(({ members }) => members)).toEqual(['a b', 'a', 'b'])
  })
})

describe('a write', () => {
  test('under an old entity tag is made anew from what is there now, at once and twice at most', async () => {
    const stale = { refused: refused(412, 'PreconditionFailed') }
    const { writer, writes, reads, driven } = makeWorld([stale, stale, 'fine'])
    await driven(writer.change(target('nic'), adds('a'), CONTEXT))
    expect([writes.map(({ atS }) => atS), reads.length]).toEqual([[0, 0, 0], 3])
    const worse = makeWorld([stale, stale, stale])
    await expect(worse.driven(worse.writer.change(target('nic'), adds('a'), CONTEXT))).rejects.toMatchObject({
      kind: 'stale',
    })
  })

  test.each([
    { name: 'refused as a conflict', fate: { refused: refused(409, 'Conflict', 7000) } },
    { name: 'met by a temporary lock', fate: { refused: refused(429, 'RetryableError', 7000) } },
    {
      name: 'superseded by another one',
      fate: { fails: refused(undefined, 'CanceledAndSupersededDueToAnotherOperation', 7000) },
    },
  ])('$name is made anew when Azure asks', async ({ fate }) => {
    const { writer, writes, driven } = makeWorld([fate])
    await driven(writer.change(target('nic'), adds('a'), CONTEXT))
    const at = 'refused' in fate ? 7 : 12
    expect(writes.map(({ atS }) => atS)).toEqual([0, at])
  })

  test('waits for one of somebody else to end, rather than cancel it', async () => {
    const { writer, writes, driven, isWrittenUntil } = makeWorld()
    isWrittenUntil('nic', 8000)
    await driven(writer.change(target('nic'), adds('ours'), CONTEXT))
    expect(writes).toHaveLength(1)
    expect(writes[0]?.atS).toBeGreaterThanOrEqual(8)
  })

  test('that meets conflicts without end fails', async () => {
    const { writer, writes, driven } = makeWorld(
      Array.from({ length: 20 }, () => ({ refused: refused(409, 'Conflict') })),
    )
    await expect(driven(writer.change(target('nic'), adds('a'), CONTEXT))).rejects.toMatchObject({ kind: 'conflict' })
    expect(writes).toHaveLength(7)
  })

  test('whose answer is lost with its effect is not made again, and ends with its operation', async () => {
    const { writer, writes, driven, clock } = makeWorld(['lost with its effect'])
    let endedAtMs = 0
    await driven(writer.change(target('nic'), adds('a'), CONTEXT).then(() => (endedAtMs = clock.now())))
    expect([writes.length, endedAtMs]).toEqual([1, OPERATION_MS])
  })

  test('whose answer is lost without effect is made again', async () => {
    const { writer, writes, driven, documentOf } = makeWorld(['lost without effect'])
    await driven(writer.change(target('nic'), adds('a'), CONTEXT))
    expect([writes.length, documentOf('nic')]).toMatchObject([2, { a: true }])
  })

  test('that is never answered fails as such', async () => {
    const { writer, writes, driven } = makeWorld(Array.from({ length: 9 }, () => 'lost without effect' as const))
    await expect(driven(writer.change(target('nic'), adds('a'), CONTEXT))).rejects.toBe(LOST)
    expect(writes).toHaveLength(3)
  })

  test('whose operation does not end is given up at once', async () => {
    const never = new CloudAPIError('never', { kind: 'unavailable', code: OPERATION_TIMED_OUT, action: 'x' })
    const { writer, writes, driven } = makeWorld([{ fails: never }])
    await expect(driven(writer.change(target('nic'), adds('a'), CONTEXT))).rejects.toBe(never)
    expect(writes).toHaveLength(1)
  })

  test('that nobody waits for any more leaves the next one its turn', async () => {
    const { writer, driven, clock, documentOf } = makeWorld()
    const gone = new AbortController()
    const first = writer.change(target('nic'), adds('a'), { ...CONTEXT, signal: gone.signal })
    const second = writer.change(target('other'), adds('b'), CONTEXT)
    first.catch(() => undefined)
    await clock.advance(1000)
    gone.abort(new Error('node deleted'))
    await expect(first).rejects.toThrow('node deleted')
    await driven(Promise.all([second, writer.change(target('nic'), adds('c'), CONTEXT)]))
    expect(documentOf('nic')).toMatchObject({ a: true, c: true })
    expect(writer.pendingCount).toBe(0)
  })

  test('for several goes on when one of them goes', async () => {
    const { writer, driven, clock, documentOf } = makeWorld()
    const gone = new AbortController()
    const first = writer.change(target('nic'), adds('a'), { ...CONTEXT, signal: gone.signal })
    const second = writer.change(target('nic'), adds('b'), CONTEXT)
    first.catch(() => undefined)
    await clock.advance(1000)
    gone.abort(new Error('node deleted'))
    await driven(second)
    expect(documentOf('nic')).toMatchObject({ b: true })
  })
})

describe('what gives something back', () => {
  const guarded = (name: string, log: string[], admit?: () => void): DocumentChange => ({
    ...adds(name),
    admit: () => {
      admit?.()
      log.push('began')
      return ({ kind }: DestructionResult) => log.push(kind)
    },
  })

  test('is asked for at the moment of sending, and told its end', async () => {
    const log: string[] = []
    const { writer, driven } = makeWorld([{ refused: refused(409, 'Conflict') }])
    await driven(writer.change(target('nic'), guarded('a', log), CONTEXT))
    expect(log).toEqual(['began', 'failed', 'began', 'done'])
  })

  test('is not sent when it is not admitted, and what waited with it is', async () => {
    const log: string[] = []
    const { writer, writes, driven } = makeWorld()
    const paused = (): never => {
      throw new Error('paused')
    }
    const results = await driven(
      Promise.allSettled([
        writer.change(target('nic'), guarded('a', log, paused), CONTEXT),
        writer.change(target('nic'), adds('b'), CONTEXT),
      ]),
    )
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect([log, writes.map(({ members }) => members)]).toEqual([[], ['b']])
  })

  test('that is gone already is not asked for', async () => {
    const log: string[] = []
    const { writer, driven, setDocument } = makeWorld()
    setDocument('nic', { a: true })
    await driven(writer.change(target('nic'), guarded('a', log), CONTEXT))
    expect(log).toEqual([])
  })
})
