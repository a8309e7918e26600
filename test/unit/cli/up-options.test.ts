import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { UP_HELP, parseUpOptions } from '../../../src/cli/up-options.ts'

const folder = mkdtempSync(join(tmpdir(), 'berth-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

describe('parseUpOptions', () => {
  test('defaults', () => {
    expect(parseUpOptions([])).toEqual({
      plan: {
        cloud: 'aws',
        nodes: 50,
        instanceType: 'm5.large',
        prefixDelegation: false,
        podsPerNode: undefined,
        podsPerSecond: 1,
        agentGeneration: 'pool',
        throttle: 'documented',
        seed: 1,
        agentUpdateIntervalMs: 1000,
      },
      isUntilConverged: false,
      timeoutMs: 600_000,
      isJSON: false,
    })
  })

  test('each cloud has a usual type of machine', () => {
    expect(parseUpOptions(['--cloud', 'azure'])).toMatchObject({
      plan: { cloud: 'azure', instanceType: 'Standard_D4s_v5' },
    })
    expect(parseUpOptions(['--cloud', 'azure', '--instance-type', 'Standard_B2s'])).toMatchObject({
      plan: { instanceType: 'Standard_B2s' },
    })
  })

  test('reads a throttle file', () => {
    const content = '{"rules": [{"bucket": "*", "size": 10, "refillPerSecond": 1}]}'
    expect(parseUpOptions(['--throttle', file('throttle.json', content)])).toMatchObject({
      plan: { throttle: JSON.parse(content) },
    })
  })

  test.each([
    ['alibabacloud', '--cloud alibabacloud: not built yet; built are aws, azure'],
    ['azur', '--cloud azur: must be one of aws, azure, alibabacloud; did you mean azure?'],
  ])('--cloud %s is refused', (cloud, message) => {
    expect(() => parseUpOptions(['--cloud', cloud])).toThrow(message)
  })

  test('a throttle file that is missing, no JSON, or wrong is refused in one line that names it', () => {
    const missing = join(folder, 'missing.json')
    expect(() => parseUpOptions(['--throttle', missing])).toThrow(`--throttle ${missing}: no such file`)
    const cut = file('cut.json', '{"rules": [')
    expect(() => parseUpOptions(['--throttle', cut])).toThrow(`--throttle ${cut}: `)
    const wrong = file('wrong.json', '{"rules": [{"bucket": "*", "size": -1}]}')
    expect(() => parseUpOptions(['--throttle', wrong])).toThrow(/^[^\n]*wrong\.json: [^\n]*rules\[0\]\.size[^\n]*$/)
  })

  test('the help names every option', () => {
    for (const name of [
      'cloud',
      'nodes',
      'instance-type',
      'prefix-delegation',
      'pods-per-node',
      'churn',
      'agent-generation',
      'throttle',
      'seed',
      'until-converged',
      'timeout',
      'json',
      'help',
    ])
      expect(UP_HELP).toContain(`--${name}`)
  })
})
