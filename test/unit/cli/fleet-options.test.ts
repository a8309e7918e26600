import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FLEET_HELP, parseFleetOptions } from '../../../src/cli/fleet-options.ts'
import { SCENARIO_NAMES, SCENARIOS } from '../../../src/fleet/scenarios.ts'

const YAML = `
nodes: 12
instanceType: m5.xlarge
prefixDelegation: true
steps:
  - startController
  - join: all
  - at: 2m
    drain: { nodes: 25%, perSecond: 1 }
`

let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-fleet-options-'))
  writeFileSync(join(folder, 'mine.yaml'), YAML)
  writeFileSync(join(folder, 'mine.json'), JSON.stringify({ steps: ['startController', { join: 5 }] }))
  writeFileSync(join(folder, 'wrong.yaml'), 'steps:\n  - startController\n  - jion: all\n')
  writeFileSync(join(folder, 'broken.json'), '{"steps": [')
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('parseFleetOptions', () => {
  test('plays a cold start of 1,000 nodes by default', () => {
    expect(parseFleetOptions([])).toEqual({
      cloud: 'aws',
      nodes: 1000,
      instanceType: 'm5.large',
      prefixDelegation: false,
      scenario: SCENARIOS['cold-start'],
      seed: 1,
      isJSON: false,
      report: undefined,
    })
  })

  test('reads every option', () => {
    const report = join(folder, 'report.html')
    const args = [
      '--cloud',
      'azure',
      '--nodes=7',
      '--instance-type',
      'a:3,b:1',
      '--prefix-delegation',
      '--report',
      report,
    ]
    expect(parseFleetOptions([...args, '--scenario', 'churn', '--seed', '9', '--json'])).toEqual({
      cloud: 'azure',
      nodes: 7,
      instanceType: 'a:3,b:1',
      prefixDelegation: true,
      scenario: SCENARIOS.churn,
      seed: 9,
      isJSON: true,
      report,
    })
  })

  test.each([
    { cloud: 'aws', usual: 'm5.large', mix: 'm5.large:1,m5.xlarge:1,m5.2xlarge:1,m5.4xlarge:1' },
    {
      cloud: 'azure',
      usual: 'Standard_D4s_v5',
      mix: 'Standard_D2s_v5:1,Standard_D4s_v5:1,Standard_D8s_v5:1,Standard_D16s_v5:1',
    },
  ])('$cloud has its own usual type, and its own mix', ({ cloud, usual, mix }) => {
    expect(parseFleetOptions(['--cloud', cloud])).toMatchObject({ instanceType: usual })
    expect(parseFleetOptions(['--cloud', cloud, '--instance-type', 'mix'])).toMatchObject({ instanceType: mix })
  })

  test('a scenario file says what the command line does not', () => {
    const file = join(folder, 'mine.yaml')
    const options = parseFleetOptions(['--scenario', file])
    expect(options).toMatchObject({ nodes: 12, instanceType: 'm5.xlarge', prefixDelegation: true })
    expect(options).toHaveProperty('scenario.name', 'mine')
    expect(options).toHaveProperty('scenario.steps[2].atMs', 120_000)
    expect(parseFleetOptions(['--scenario', file, '--nodes', '3'])).toMatchObject({ nodes: 3 })
    expect(parseFleetOptions(['--scenario', join(folder, 'mine.json')])).toMatchObject({ nodes: 1000 })
  })

  test.each([
    { args: ['--scenario', 'cold-strat'], problem: '--scenario cold-strat: must be one of cold-start, ' },
    { args: ['--scenario', 'cold-strat'], problem: 'or a file; did you mean cold-start?' },
    { args: ['--scenario', 'nowhere/mine.yaml'], problem: '--scenario nowhere/mine.yaml: no such file' },
    { args: ['--nodes', '0'], problem: '--nodes 0: must be a whole number from 1 to 200000' },
    { args: ['--cloud', 'alibabacloud'], problem: '--cloud alibabacloud: not built yet; built are aws, azure' },
    { args: ['--cloud', 'azur'], problem: 'did you mean azure?' },
    { args: ['--report', '/nowhere/x.html'], problem: '--report /nowhere/x.html: there is no folder /nowhere' },
    { args: ['--report', tmpdir()], problem: 'is a folder' },
    { args: ['--report'], problem: '--report needs a value: --report FILE.html' },
  ])('refuses $args: $problem', ({ args, problem }) => {
    expect(() => parseFleetOptions(args)).toThrow(problem)
  })

  test.each([
    { file: 'wrong.yaml', problem: 'scenario: steps[1].jion is no step; did you mean join?' },
    { file: 'broken.json', problem: 'broken.json: Unexpected end of JSON input' },
  ])('tells in one line what is wrong in $file', ({ file, problem }) => {
    const parse = (): unknown => parseFleetOptions(['--scenario', join(folder, file)])
    expect(parse).toThrow(problem)
    expect(parse).not.toThrow('\n')
  })

  test('the help names every scenario', () => {
    for (const name of SCENARIO_NAMES) expect(FLEET_HELP).toContain(`  ${name} `)
  })
})
