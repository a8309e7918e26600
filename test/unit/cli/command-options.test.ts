import { describe, expect, test } from 'vitest'
import {
  UsageError,
  choiceOption,
  describeOptions,
  numberOption,
  parseCommandLine,
  switchOption,
  textOption,
} from '../../../src/cli/command-options.ts'

const OPTIONS = {
  nodes: numberOption('nodes in the cluster', { min: 1, max: 10_000, isWhole: true, defaultValue: 50 }),
  podsPerNode: numberOption('pods at the start', { min: 0, max: 100, isWhole: true, defaultValue: undefined }),
  churn: numberOption('pods a second', { min: 0, max: 100, isWhole: false, defaultValue: 1 }),
  generation: choiceOption('agents', ['pool', 'multi-pool', 'mixed'], 'pool'),
  faults: textOption('script', 'FILE', undefined),
  json: switchOption('summary as JSON'),
}

const parse = (line: string): unknown => parseCommandLine(OPTIONS, line === '' ? [] : line.split(' '))

function complaint(line: string): string {
  try {
    parse(line)
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    return (error as UsageError).message
  }
  throw new Error('accepted')
}

describe('parseCommandLine', () => {
  test('gives every option its default', () => {
    const defaults = { nodes: 50, podsPerNode: undefined, churn: 1, generation: 'pool', faults: undefined, json: false }
    expect(parse('')).toEqual(defaults)
  })

  test('reads values after a blank or an equals sign, switches, and the last one of a name', () => {
    const line = '--nodes 3 --pods-per-node=0 --churn 0.5 --generation multi-pool --faults a=b.json --json --nodes=4'
    expect(parse(line)).toEqual({
      nodes: 4,
      podsPerNode: 0,
      churn: 0.5,
      generation: 'multi-pool',
      faults: 'a=b.json',
      json: true,
    })
  })

  test.each(['--help', '-h', '--nodes x --help'])('%s asks for help', (line) => {
    expect(parse(line)).toBe('help')
  })

  test.each([
    ['--node 3', 'unknown option --node; did you mean --nodes?'],
    ['--jsno', 'unknown option --jsno; did you mean --json?'],
    ['--pods-pre-node 3', 'unknown option --pods-pre-node; did you mean --pods-per-node?'],
    ['--quite', 'unknown option --quite; see --help'],
    ['50', 'unexpected argument 50; see --help'],
    ['--nodes', '--nodes needs a value: --nodes N'],
    ['--nodes --json', '--nodes needs a value: --nodes N'],
    ['--nodes fifty', '--nodes fifty: must be a whole number from 1 to 10000'],
    ['--nodes 1.5', '--nodes 1.5: must be a whole number from 1 to 10000'],
    ['--nodes 0', '--nodes 0: must be a whole number from 1 to 10000'],
    ['--nodes 0x10', '--nodes 0x10: must be a whole number from 1 to 10000'],
    ['--churn -1', '--churn -1: must be a number from 0 to 100'],
    ['--json=yes', '--json takes no value'],
    [
      '--generation multipool',
      '--generation multipool: must be one of pool, multi-pool, mixed; did you mean multi-pool?',
    ],
    ['--faults=', '--faults : must not be empty'],
  ])('%s: %s', (line, message) => {
    expect(complaint(line)).toBe(message)
  })
})

test('describeOptions shows names, placeholders, help and defaults', () => {
  const lines = describeOptions(OPTIONS).split('\n')
  expect(lines[0]).toBe('  --nodes N                           nodes in the cluster (50)')
  expect(lines[1]).toBe('  --pods-per-node N                   pods at the start')
  expect(lines.at(-2)).toBe('  --json                              summary as JSON')
})
