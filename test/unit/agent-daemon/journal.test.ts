import { describe, expect, test } from 'vitest'
import { JournalWriteError, StateFileError } from '../../../src/agent/journal-errors.ts'
import { decodeFrames, encodeFrame } from '../../../src/agent/journal-frame.ts'
import type { Lease } from '../../../src/agent/journal-record.ts'
import { leaseKey } from '../../../src/agent/journal-record.ts'
import { Journal, readLeases } from '../../../src/agent/journal.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { MemoryStorage } from './memory-storage.ts'

const HEADER = encodeFrame({ format: 'berth-agent-leases/1', node: 'node-a' })

const lease = (last: number, more: Partial<Lease> = {}): Lease => ({
  ip: `10.0.0.${last}`,
  pool: 'default',
  owner: `default/pod-${last}`,
  ...more,
})

/** A journal and the memory that it follows. */
function journalOf(storage: MemoryStorage) {
  const held = new Map<string, Lease>()
  const journal = new Journal({ storage, node: 'node-a', leases: () => held.values() })
  return {
    journal,
    hold: (one: Lease): void => {
      held.set(leaseKey(one), one)
      journal.append({ op: 'hold', lease: one })
    },
    free: (one: Lease): void => {
      held.delete(leaseKey(one))
      journal.append({ op: 'free', ip: one.ip, pool: one.pool })
    },
  }
}

const stored = async (storage: MemoryStorage) => (await readLeases(storage, 'node-a')).leases

describe('a journal', () => {
  test('has what was held, without what was freed, in the order of holding', async () => {
    const storage = new MemoryStorage()
    const { journal, hold, free } = journalOf(storage)
    await journal.durable()
    const expiring = lease(2, {
      attachment: 'net/c1/eth0',
      expiration: { uuid: 'u', atMs: 1_700_000_000_000, timeoutMs: 600_000 },
    })
    hold(lease(1))
    hold(expiring)
    hold(lease(3))
    free(lease(1))
    await journal.durable()
    expect(await stored(storage)).toEqual([expiring, lease(3)])
  })

  test('tells the same address of two pools apart', async () => {
    const storage = new MemoryStorage()
    const { journal, hold, free } = journalOf(storage)
    hold(lease(1, { pool: 'red' }))
    hold(lease(1, { pool: 'blue' }))
    free(lease(1, { pool: 'red' }))
    await journal.durable()
    expect(await stored(storage)).toEqual([lease(1, { pool: 'blue' })])
  })

  test('acknowledges nothing before it is on the disk, and many changes with one write', async () => {
    const storage = new MemoryStorage()
    const { journal, hold } = journalOf(storage)
    await journal.durable()
    const opened = Promise.withResolvers<void>()
    storage.gate = () => opened.promise
    const acknowledged: number[] = []
    const saves = [1, 2, 3, 4, 5].map((last) => {
      hold(lease(last))
      return journal.durable().then(() => acknowledged.push(last))
    })
    await new Promise(setImmediate)
    expect(acknowledged).toEqual([])
    opened.resolve()
    await Promise.all(saves)
    expect(acknowledged).toEqual([1, 2, 3, 4, 5])
    expect(storage.writes).toEqual({ append: 2, replace: 1 }) // the first change goes alone, the others wait for it together
  })

  test('writes what is asked for in the very moment in which a write ends', async () => {
    const storage = new MemoryStorage()
    const { journal, hold } = journalOf(storage)
    await journal.durable()
    for (let last = 1; last <= 20; last++) {
      hold(lease(last))
      await journal.durable()
    }
    expect(await stored(storage)).toHaveLength(20)
  })

  test('rewrites itself when it has outgrown what it holds, and stays small under churn', async () => {
    const storage = new MemoryStorage()
    const { journal, hold, free } = journalOf(storage)
    hold(lease(1))
    for (let round = 0; round < 4000; round++) {
      hold(lease(2))
      free(lease(2))
      await journal.durable()
    }
    expect(storage.writes.replace).toBeGreaterThan(1)
    expect(storage.writes.replace).toBeLessThan(10)
    expect(storage.content?.length).toBeLessThan(300 * 1024)
    expect(await stored(storage)).toEqual([lease(1)])
  })

  test('keeps changes that arrive while it rewrites itself', async () => {
    const storage = new MemoryStorage()
    const { journal, hold } = journalOf(storage)
    const opened = Promise.withResolvers<void>()
    storage.gate = () => opened.promise
    hold(lease(1))
    const first = journal.durable()
    hold(lease(2))
    const second = journal.durable()
    opened.resolve()
    await Promise.all([first, second])
    expect(await stored(storage)).toEqual([lease(1), lease(2)])
  })
})

describe('a journal whose disk fails', () => {
  const full = () => new Error('ENOSPC: no space left on device')

  test('refuses the changes of that write, and saves everything with the next one', async () => {
    const storage = new MemoryStorage()
    const { journal, hold, free } = journalOf(storage)
    hold(lease(1))
    await journal.durable()
    storage.failures.push(full())
    storage.keptOfFailedAppend = 17
    hold(lease(2))
    const failure = await journal.durable().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(JournalWriteError)
    expect((failure as Error).message).toContain('/state/leases')
    expect((failure as Error).message).toContain('ENOSPC')
    expect(await readLeases(storage, 'node-a')).toEqual({ leases: [lease(1)], tornBytes: 17 })
    free(lease(2)) // what its caller does
    hold(lease(3))
    await journal.durable()
    expect(await stored(storage)).toEqual([lease(1), lease(3)])
    expect(storage.writes.replace).toBe(2)
  })

  test('does not acknowledge a later call that changes nothing while the state is not saved', async () => {
    const storage = new MemoryStorage()
    const { journal, hold } = journalOf(storage)
    await journal.durable()
    storage.failures.push(full(), full())
    hold(lease(1))
    await expect(journal.durable()).rejects.toThrow(JournalWriteError)
    await expect(journal.durable()).rejects.toThrow(JournalWriteError)
    await journal.durable()
    expect(await stored(storage)).toEqual([lease(1)])
  })

  test('refuses only those whose change was in the failed write', async () => {
    const storage = new MemoryStorage()
    const { journal, hold } = journalOf(storage)
    await journal.durable()
    storage.failures.push(full())
    hold(lease(1))
    const first = journal.durable()
    hold(lease(2))
    const second = journal.durable()
    await expect(first).rejects.toThrow(JournalWriteError)
    await second
    expect(await stored(storage)).toEqual([lease(1), lease(2)]) // memory still holds the first: its caller has not given it up
  })
})

describe('a state file after a crash', () => {
  const whole = Buffer.concat([HEADER, encodeFrame([{ op: 'hold', lease: lease(1) }])])
  const last = encodeFrame(Array.from({ length: 20 }, (_, index) => ({ op: 'hold', lease: lease(index + 2) })))

  const read = async (content: Buffer) => {
    const storage = new MemoryStorage()
    storage.content = content
    return readLeases(storage, 'node-a')
  }

  test('has everything but the append under way, wherever that was cut', async () => {
    for (let kept = 0; kept < last.length; kept++) {
      const { leases, tornBytes } = await read(Buffer.concat([whole, last.subarray(0, kept)]))
      expect({ kept, leases, tornBytes }).toEqual({ kept, leases: [lease(1)], tornBytes: kept })
    }
    expect((await read(Buffer.concat([whole, last]))).leases).toHaveLength(21)
  })

  test('may have blocks of zeros in the append under way', async () => {
    const content = Buffer.concat([whole, last])
    expect(content.length).toBeGreaterThan(1536)
    for (const [start, end] of [
      [whole.length, content.length],
      [whole.length, 512],
      [512, 1024],
      [1024, content.length],
    ] as const) {
      const torn = Buffer.from(content).fill(0, start, end)
      expect((await read(torn)).leases).toEqual([lease(1)])
    }
  })

  test('is empty when not even its first write was completed', async () => {
    expect(await read(Buffer.alloc(0))).toEqual({ leases: [], tornBytes: 0 })
  })
})

describe('a damaged state file', () => {
  const content = Buffer.concat([
    HEADER,
    encodeFrame([{ op: 'hold', lease: lease(1) }]),
    encodeFrame([
      { op: 'hold', lease: lease(2) },
      { op: 'free', ip: '10.0.0.1', pool: 'default' },
    ]),
  ])

  const read = async (bytes: Buffer): Promise<unknown> => {
    const storage = new MemoryStorage()
    storage.content = bytes
    return readLeases(storage, 'node-a').catch((error: unknown) => error)
  }

  test('is refused for any flipped bit, of the last frame too: no lease is dropped silently', async () => {
    for (let offset = 0; offset < content.length; offset++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Buffer.from(content)
        flipped[offset]! ^= 1 << bit
        const outcome = await read(flipped)
        expect(outcome, `byte ${offset}, bit ${bit}`).toBeInstanceOf(StateFileError)
      }
    }
  })

  test('is refused when blocks in its middle are gone', async () => {
    const padded = Buffer.concat([
      HEADER,
      encodeFrame(Array.from({ length: 20 }, (_, index) => ({ op: 'hold', lease: lease(index) }))),
      encodeFrame([]),
    ])
    expect(await read(Buffer.from(padded).fill(0, 512, 1024))).toMatchObject({ kind: 'damaged' })
  })

  test('names the file, the place and what to do, and is left as it was', async () => {
    const storage = new MemoryStorage()
    storage.content = Buffer.from(content)
    storage.content[HEADER.length + 30]! ^= 1
    const before = Buffer.from(storage.content)
    const failure = (await readLeases(storage, 'node-a').catch((error: unknown) => error)) as StateFileError
    expect(failure).toMatchObject({ kind: 'damaged', file: '/state/leases' })
    expect(failure.message).toMatch(
      /\/state\/leases is damaged at line 2 .*checksum.*drain the node.*move the file away/,
    )
    expect(storage.content).toEqual(before)
  })

  test.each([
    { name: 'random bytes', bytes: randomBytes(7, 400) },
    { name: 'a text of somebody else', bytes: Buffer.from('{"leases": []}\n') },
    { name: 'a file without header', bytes: encodeFrame([{ op: 'hold', lease: lease(1) }]) },
    { name: 'a change that is none', bytes: Buffer.concat([HEADER, encodeFrame([{ op: 'steal' }])]) },
    { name: 'a lease without address', bytes: Buffer.concat([HEADER, encodeFrame([{ op: 'hold', lease: {} }])]) },
    { name: 'a frame that is no list', bytes: Buffer.concat([HEADER, encodeFrame({ op: 'hold' })]) },
  ])('is refused: $name', async ({ bytes }) => {
    expect(await read(bytes)).toMatchObject({ kind: 'damaged' })
  })

  test('of another node or another format is not touched', async () => {
    const other = encodeFrame({ format: 'berth-agent-leases/1', node: 'node-b' })
    expect(await read(other)).toMatchObject({ kind: 'other-node', message: expect.stringContaining('node-b') })
    const newer = encodeFrame({ format: 'berth-agent-leases/9', node: 'node-a' })
    expect(await read(newer)).toMatchObject({ kind: 'other-format' })
  })
})

test('frames survive any text', () => {
  const value = [{ owner: 'ü\n\u0000 "x"', list: ['\u2028'] }]
  expect(decodeFrames(encodeFrame(value)).frames).toEqual([value])
})

function randomBytes(seed: number, count: number): Buffer {
  const random = seededRandom(seed)
  return Buffer.from(Array.from({ length: count }, () => Math.floor(random.next() * 255) + 1))
}
