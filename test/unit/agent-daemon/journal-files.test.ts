import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StateFileError } from '../../../src/agent/journal-errors.ts'
import { lockFolder } from '../../../src/agent/journal-lock.ts'
import { fileStorage } from '../../../src/agent/journal-storage.ts'
import { readLeases } from '../../../src/agent/journal.ts'
import { seededRandom } from '../../../src/runtime/random.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-journal-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the file of a journal', () => {
  test('is created, grows, and is replaced as a whole', async () => {
    const path = join(folder, 'leases')
    const storage = fileStorage(path)
    expect(await storage.read()).toBeUndefined()
    await storage.replace([Buffer.from('one '), Buffer.from('two ')])
    await storage.append(Buffer.from('three'))
    expect(readFileSync(path, 'utf8')).toBe('one two three')
    await storage.replace([Buffer.from('four ')])
    await storage.append(Buffer.from('five'))
    await storage.close()
    expect(readFileSync(path, 'utf8')).toBe('four five')
    expect(readdirSync(folder)).toEqual(['leases'])
  })

  test('is for its owner only', async () => {
    const path = join(folder, 'leases')
    await fileStorage(path).replace([Buffer.from('x')])
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('gets over a successor that a crash left unfinished', async () => {
    const path = join(folder, 'leases')
    writeFileSync(path, 'old')
    writeFileSync(`${path}.new`, 'half of the n')
    const storage = fileStorage(path)
    expect((await storage.read())?.toString()).toBe('old')
    await storage.replace([Buffer.from('new')])
    expect(readFileSync(path, 'utf8')).toBe('new')
    expect(existsSync(`${path}.new`)).toBe(false)
  })

  test('does not create itself by an append: a file that vanished is an error, not an empty state', async () => {
    const path = join(folder, 'leases')
    await expect(fileStorage(path).append(Buffer.from('x'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(existsSync(path)).toBe(false)
  })

  test('that cannot be read is said with its name', async () => {
    const path = join(folder, 'leases')
    mkdirSync(path)
    const failure = await readLeases(fileStorage(path), 'node-a').catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(StateFileError)
    expect(failure).toMatchObject({ kind: 'unreadable', file: path, message: expect.stringContaining(path) })
  })
})

describe('the lock of a state folder', () => {
  const random = seededRandom(3)

  test('is held by one at a time, and free again when it is released', async () => {
    const first = await lockFolder(folder, process.pid, random)
    const refusal = await lockFolder(folder, process.pid, random).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ name: 'StateFileError', kind: 'in-use' })
    expect((refusal as Error).message).toContain(folder)
    await first.release()
    await (await lockFolder(folder, process.pid, random)).release()
    expect(readdirSync(folder)).toEqual([])
  })

  test('of a killed process is taken over', async () => {
    const path = join(folder, 'lock-zombie.sock')
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    await expect(lockFolder(folder, process.pid, random)).rejects.toMatchObject({ kind: 'in-use' })
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(existsSync(path)).toBe(true)
    const lock = await lockFolder(folder, process.pid, random)
    expect(existsSync(path)).toBe(false)
    await lock.release()
  })

  test('goes to at most one of many that start together', async () => {
    const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder, process.pid, random)))
    const winners = attempts.filter((attempt) => attempt.status === 'fulfilled')
    expect(winners.length).toBeLessThanOrEqual(1)
    for (const { value } of winners) await value.release()
    await (await lockFolder(folder, process.pid, random)).release()
  })

  test('tells nobody anything', async () => {
    const lock = await lockFolder(folder, process.pid, random)
    const [name = ''] = readdirSync(folder)
    const socket = connect(join(folder, name))
    const [hadError] = (await once(socket, 'close')) as [boolean]
    expect(hadError).toBe(false)
    await lock.release()
  })

  test.each([
    { name: 'a folder that does not exist', path: () => join(folder, 'missing') },
    { name: 'a path too long for a socket', path: () => join(folder, 'x'.repeat(120)) },
  ])('says what is wrong with $name', async ({ path }) => {
    const failure = await lockFolder(path(), process.pid, random).catch((error: unknown) => error)
    expect(failure).toMatchObject({ name: 'StateFileError', kind: 'unreadable' })
    expect((failure as Error).message).toContain('--state-dir')
  })
})
