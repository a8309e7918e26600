import { spawnSync } from 'node:child_process'
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { InputError } from '../../../../simulators/kit/input.ts'
import { parseShare } from '../../../../simulators/kit/process.ts'

const ROOT = join(import.meta.dirname, '../../../..')
const folder = mkdtempSync(join(tmpdir(), 'simulator-'))
afterAll(() => rmSync(folder, { recursive: true }))

function run(simulator: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`simulators/${simulator}/main.ts`, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 30_000,
  })
  return { status, stdout, stderr }
}

describe('a simulator as a process', () => {
  test.each(['aws', 'azure'])('%s prints its options', (simulator) => {
    const { status, stdout } = run(simulator, '--help')
    expect([status, stdout.includes('--neighbour SHARE')]).toEqual([0, true])
  })

  const settings = join(folder, 'settings.json')
  writeFileSync(settings, JSON.stringify({ quotas: { interface: 1 } }))
  test.each([
    ['aws', ['--neighbour', '1'], '--neighbour: must be a share from 0 to below 1'],
    ['aws', ['--neighbour', '0.3', '--throttle', 'none'], '--neighbour: has nothing to take from'],
    ['aws', ['--settings', settings], 'quotas.interface is not known'],
    ['aws', ['--interface-quota', '0'], '--interface-quota: must be a whole number of at least 1'],
    ['aws', ['--throttel', 'none'], "Unknown option '--throttel'"],
    ['azure', ['--world', '/nowhere.json'], '--world: cannot read /nowhere.json'],
    ['azure', ['--port', 'x'], '--port: must be a whole number'],
  ])('%s with %j is told what is wrong, and ends with 2', (simulator, args, message) => {
    const { status, stderr, stdout } = run(simulator, ...args)
    expect([status, stdout, stderr]).toEqual([2, '', expect.stringContaining(message)])
  })

  test.each([
    ['0', 0],
    ['0.3', 0.3],
    ['.5', 0.5],
  ])('the share %s', (text, share) => {
    expect(parseShare('--neighbour', text)).toBe(share)
  })

  test.each(['', '-0.1', '1', '1.5', '30%', 'x', '0.3.1'])('%j is no share', (text) => {
    expect(() => parseShare('--neighbour', text)).toThrow(InputError)
  })
})
