import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'

/** The command as a user runs it: exit code and streams. */

const folder = mkdtempSync(join(tmpdir(), 'berth-conformance-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

function conformance(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['test/conformance/main.ts', ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

function vectorFile(name: string, needed: number): string {
  const path = join(folder, name)
  const input = { available: 0, used: 0, preAllocate: 0, minAllocate: 16, maxAllocate: 0 }
  const cases = [{ id: 'n-1', kind: 'needed_ips', profile: 'all', input, expect: { needed } }]
  writeFileSync(path, JSON.stringify({ schema: 'eni-ipam-core-vectors', cases }))
  return path
}

describe('npm run conformance', () => {
  test('exits 0 when nothing failed, over several files', async () => {
    const result = await conformance(vectorFile('a.json', 16), vectorFile('b.json', 16))
    expect(result).toEqual({ code: 0, stdout: '2 passed, 0 failed, 0 differ, 0 skipped\n', stderr: '' })
  })

  test('exits 1 when a case failed, the totals being the last line', async () => {
    const result = await conformance(vectorFile('wrong.json', 15))
    expect(result.code).toBe(1)
    expect(result.stdout).toBe(
      'failed: core needed_ips n-1: needed: expected 15, got 16\n0 passed, 1 failed, 0 differ, 0 skipped\n',
    )
  })

  test('exits 2 before any case runs when a file is bad, with one line that names it', async () => {
    const cut = join(folder, 'cut.json')
    writeFileSync(cut, '{"schema": "eni-ipam')
    const result = await conformance(vectorFile('good.json', 16), cut)
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toMatch(/^Vector file .*cut\.json is not JSON: [^\n]+\n$/)
  })

  test.each([
    { name: 'no file', args: [], message: /^No vector file given/ },
    { name: 'an unknown option', args: ['--nope'], message: /^Unknown option '--nope'/ },
  ])('exits 2 with $name', async ({ args, message }) => {
    const result = await conformance(...args)
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toMatch(message)
  })

  test('explains itself', async () => {
    const result = await conformance('--help')
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).toMatch(/^Usage: npm run conformance -- FILE/)
  })
})
