import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { controllerHelp } from '../../../src/cli/controller-help.ts'
import { programVersion } from '../../../src/cli/version.ts'
import { OPTION_NAMES } from '../../../src/config/schema.ts'
import { main } from '../../../src/main.ts'

let out = ''
let err = ''

beforeEach(() => {
  out = ''
  err = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text)
    return true
  })
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text)
    return true
  })
})
afterEach(() => void vi.restoreAllMocks())

describe('the program', () => {
  test.each([['help'], ['--help'], ['-h']])('%s lists the commands', async (argument) => {
    expect(await main([argument])).toBe(0)
    for (const command of ['up', 'controller', 'simulators', 'help', 'version'])
      expect(out).toContain(`\n  ${command} `)
    expect(err).toBe('')
  })

  test.each([['version'], ['--version'], ['-v']])('%s tells the version', async (argument) => {
    expect(await main([argument])).toBe(0)
    expect(out).toBe(`berth ${programVersion()}\n`)
    expect(programVersion()).toMatch(/^\d+\.\d+\.\d+$/)
  })

  test('without a command shows the help on the error output and fails', async () => {
    expect(await main([])).toBe(2)
    expect(err).toContain('Usage: berth COMMAND')
    expect(out).toBe('')
  })

  test.each([
    ['controler', 'berth: unknown command controler; did you mean controller?\n'],
    ['simulator', 'berth: unknown command simulator; did you mean simulators?\n'],
    ['frobnicate', "berth: unknown command frobnicate; 'berth help' lists the commands\n"],
  ])('refuses %s in one line', async (command, line) => {
    expect(await main([command])).toBe(2)
    expect(err).toBe(line)
  })
})

describe('berth controller', () => {
  test('--help names every option', async () => {
    expect(await main(['controller', '--help'])).toBe(0)
    expect(out).toBe(controllerHelp())
    expect(OPTION_NAMES.filter((name) => !out.includes(`--${name}`))).toEqual([])
  })

  test('lists every fault, one line each, and exits with 2', async () => {
    expect(await main(['controller', '--excess-ip-relase-delay', '5', '--parallel-alloc-workers=none'])).toBe(2)
    expect(err).toBe(
      [
        'berth controller: unknown option --excess-ip-relase-delay; did you mean --excess-ip-release-delay?',
        "berth controller: --parallel-alloc-workers: expected a whole number of at least 1, found 'none'",
        '',
      ].join('\n'),
    )
  })

  test('refuses a mode that is not built before it looks for anything else', async () => {
    expect(await main(['controller', '--ipam', 'alibabacloud'])).toBe(2)
    expect(err).toMatch(
      /^berth controller: --ipam alibabacloud is not served by this build; it serves: eni, azure[^\n]*\n$/,
    )
  })
})
