import { describe, expect, test } from 'vitest'
import { FLEET_HELP, parseFleetOptions } from '../../../src/cli/fleet-options.ts'
import { SCENARIO_NAMES } from '../../../src/fleet/scenarios.ts'

describe('parseFleetOptions', () => {
  test('plays a cold start of 1,000 nodes by default', () => {
    expect(parseFleetOptions([])).toEqual({
      nodes: 1000,
      instanceType: 'm5.large',
      prefixDelegation: false,
      scenario: 'cold-start',
      seed: 1,
      isJSON: false,
    })
  })

  test('reads every option', () => {
    const args = ['--cloud', 'aws', '--nodes=7', '--instance-type', 'a:3,b:1', '--prefix-delegation']
    expect(parseFleetOptions([...args, '--scenario', 'churn', '--seed', '9', '--json'])).toEqual({
      nodes: 7,
      instanceType: 'a:3,b:1',
      prefixDelegation: true,
      scenario: 'churn',
      seed: 9,
      isJSON: true,
    })
  })

  test('mix stands for four types in equal parts', () => {
    expect(parseFleetOptions(['--instance-type', 'mix'])).toMatchObject({
      instanceType: 'm5.large:1,m5.xlarge:1,m5.2xlarge:1,m5.4xlarge:1',
    })
  })

  test.each([
    { args: ['--scenario', 'cold-strat'], problem: 'did you mean cold-start?' },
    { args: ['--nodes', '0'], problem: '--nodes 0: must be a whole number from 1 to 200000' },
    { args: ['--cloud', 'azure'], problem: '--cloud azure: not built yet' },
    { args: ['--cloud', 'azur'], problem: 'did you mean azure?' },
    { args: ['--report', 'x.html'], problem: 'unknown option --report' },
  ])('refuses $args', ({ args, problem }) => {
    expect(() => parseFleetOptions(args)).toThrow(problem)
  })

  test('the help names every scenario', () => {
    for (const name of SCENARIO_NAMES) expect(FLEET_HELP).toContain(`  ${name} `)
  })
})
