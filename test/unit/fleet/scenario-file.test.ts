import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { parse as parseYAML } from 'yaml'
import { InputError } from '../../../simulators/kit/input.ts'
import scenarioSchema from '../../../simulators/kit/schemas/scenario.schema.json' with { type: 'json' }
import { parseScenario } from '../../../src/fleet/scenario-file.ts'

const isScenario = new Ajv2020({ strictRequired: false, allowUnionTypes: true }).compile(scenarioSchema)

const USUAL = ['startController', { join: 'all' }]
const withStep = (step: unknown) => ({ steps: [...USUAL, step] })

function faultsOf(file: unknown): readonly string[] {
  try {
    parseScenario(file, 'test')
    return []
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    return error.faults
  }
}

describe('a scenario file', () => {
  test('needs no more than steps', () => {
    expect(parseScenario({ steps: USUAL }, 'mine')).toEqual({
      name: 'mine',
      help: '',
      nodes: undefined,
      instanceType: undefined,
      prefixDelegation: undefined,
      podsPerNode: 5,
      agentGeneration: 'pool',
      nodeIPAM: [{}],
      throttle: 'documented',
      latency: 'usual',
      flags: [],
      steps: [{ kind: 'startController' }, { kind: 'join', nodes: { share: 1 }, perSecond: undefined }],
    })
  })

  test('says what the fleet is made of', () => {
    const file = {
      nodes: 50,
      instanceType: 'm5.large:3,m5.xlarge',
      prefixDelegation: true,
      podsPerNode: 0,
      agentGeneration: 'mixed',
      nodeIPAM: { 'min-allocate': 12 },
      throttle: { scale: 0.5 },
      latency: '80-300',
      flags: ['--limit-ipam-api-qps=4'],
    }
    expect(parseScenario({ ...file, steps: USUAL }, 'mine')).toMatchObject({
      ...file,
      nodeIPAM: [{ 'min-allocate': 12 }],
      throttle: { scale: 0.5, neighbourShare: 0 },
    })
  })

  test.each<{ step: unknown; event: object }>([
    { step: { join: 20 }, event: { kind: 'join', nodes: { count: 20 } } },
    { step: { join: { nodes: '25%', perSecond: 2 } }, event: { kind: 'join', nodes: { share: 0.25 }, perSecond: 2 } },
    { step: { drain: '50%' }, event: { kind: 'drain', nodes: { share: 0.5 }, perSecond: undefined } },
    { step: { replace: { perSecond: 2 } }, event: { kind: 'replace', nodes: { share: 1 }, perSecond: 2 } },
    { step: { startPods: 10 }, event: { kind: 'startPods', podsPerNode: 10, nodes: { share: 1 } } },
    { step: { stopPods: 0.5 }, event: { kind: 'stopPods', share: 0.5 } },
    {
      step: { churn: { podsPerSecondAndNode: 0.005, for: '1h' } },
      event: { kind: 'churn', podsPerSecondAndNode: 0.005, forMs: 3_600_000 },
    },
    { step: { fillSubnets: { for: '90s' } }, event: { kind: 'fillSubnets', leaveFree: 0, forMs: 90_000 } },
    { step: { throttle: 'none' }, event: { kind: 'throttle', throttle: 'none', forMs: undefined } },
    {
      step: { throttle: { neighbourShare: 0.3, for: '5m' } },
      event: { kind: 'throttle', throttle: { neighbourShare: 0.3, scale: 1 }, forMs: 300_000 },
    },
    { step: { wait: 1.5 }, event: { kind: 'wait', forMs: 1_500 } },
    { step: { at: '2m', wait: '500ms' }, event: { kind: 'wait', forMs: 500, atMs: 120_000 } },
    { step: 'settle', event: { kind: 'settle' } },
    { step: { measure: null }, event: { kind: 'measure' } },
    { step: 'stopController', event: { kind: 'stopController' } },
  ])('knows the step $step', ({ step, event }) => {
    expect(parseScenario(withStep(step), 'mine').steps.at(-1)).toEqual(expect.objectContaining(event))
  })

  test('takes faults as a fault file has them', () => {
    const rules = [{ action: 'Assign*', kind: 'error', code: 'InternalError', status: 500, probability: 0.1 }]
    const { steps } = parseScenario(withStep({ fault: { target: 'cloud', rules, for: '10m' } }), 'mine')
    expect(steps.at(-1)).toMatchObject({ kind: 'fault', target: 'cloud', forMs: 600_000 })
    expect(steps.at(-1)).toHaveProperty('rules[0].probability', 0.1)
  })
})

describe('a faulty scenario file is told', () => {
  test.each<{ file: unknown; fault: string }>([
    { file: [], fault: 'file must be an object, not []' },
    { file: {}, fault: 'steps must be an array, not absent' },
    { file: { steps: USUAL, node: 5 }, fault: 'file.node is not known; known are' },
    { file: { steps: USUAL, nodes: 0 }, fault: 'nodes must be a number from 1 to 200000, not 0' },
    { file: { steps: USUAL, nodeIPAM: [{ 'min-alocate': 3 }] }, fault: 'nodeIPAM[0].min-alocate is not known' },
    { file: { steps: USUAL, latency: '300-80' }, fault: 'latency must be usual, none, milliseconds or a range' },
    {
      file: { steps: USUAL, flags: ['--verbose'] },
      fault: 'flags[0] must be a flag of berth controller with its value',
    },
    { file: { steps: USUAL, throttle: { scale: 0 } }, fault: 'throttle.scale must be above 0' },
    { file: { steps: [{ join: 'all' }] }, fault: 'steps must have a startController' },
    { file: { steps: ['startController'] }, fault: 'steps must have a join' },
    { file: withStep('startController'), fault: 'steps[2].startController finds a controller that runs' },
    { file: { steps: ['stopController', ...USUAL] }, fault: 'steps[0].stopController finds no controller that runs' },
    { file: withStep({ jion: 5 }), fault: 'steps[2].jion is no step; did you mean join?' },
    { file: withStep('stettle'), fault: 'steps[2].stettle is no step; did you mean settle?' },
    {
      file: withStep({ wait: '5 minutes' }),
      fault: 'steps[2].wait must be a duration such as 90s, 5m or 1h, or seconds',
    },
    { file: withStep({ wait: '5m', settle: {} }), fault: 'steps[2] must name one step, not wait and settle' },
    { file: withStep({ at: '5m' }), fault: 'steps[2] must name one step, not none' },
    {
      file: withStep({ join: '0%' }),
      fault: 'steps[2].join.nodes must be all, a count of nodes from 1 to 200000, or a share',
    },
    { file: withStep({ churn: { for: '1h' } }), fault: 'steps[2].churn.podsPerSecondAndNode must be a number' },
    {
      file: withStep({ fault: { rules: [{ action: 'A', kind: 'boom' }] } }),
      fault: 'steps[2].fault.rules rules[0].kind must be one of',
    },
    {
      file: withStep({ throttle: { rules: [{ bucket: '*' }] } }),
      fault: 'steps[2].throttle rules[0].size must be a number',
    },
  ])('$fault', ({ file, fault }) => {
    expect(faultsOf(file).join('\n')).toContain(fault)
  })

  test('with every fault at once', () => {
    expect(faultsOf({ nodes: -1, steps: [...USUAL, { wait: 'x' }, { jion: 1 }] })).toHaveLength(3)
  })
})

test('the example of docs/scenarios.md is one', () => {
  const text = readFileSync(new URL('../../../docs/scenarios.md', import.meta.url), 'utf8')
  const file: unknown = parseYAML(/```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '')
  expect(parseScenario(file, 'day').steps.map(({ kind }) => kind)).toEqual([
    'startController',
    'join',
    'settle',
    'measure',
    'churn',
    'wait',
    'throttle',
    'fault',
    'startPods',
    'settle',
    'drain',
  ])
  expect(isScenario(file)).toBe(true)
})

describe('the schema of scenario files and their reader agree', () => {
  test.each<[boolean, unknown]>([
    [true, { steps: USUAL }],
    [true, { $schema: './scenario.schema.json', help: 'x', nodes: 5, prefixDelegation: true, steps: USUAL }],
    [
      true,
      { nodeIPAM: [{ 'pre-allocate': 3 }, {}], throttle: 'none', latency: 'none', flags: ['--a=b'], steps: USUAL },
    ],
    [true, withStep({ at: 5, replace: { nodes: 3, perSecond: 0.5 } })],
    [true, withStep({ throttle: { rules: [], for: '1m' } })],
    [true, withStep({ fillSubnets: { leaveFree: 3, for: '1m' } })],
    [true, withStep('settle')],
    [false, []],
    [false, { steps: {} }],
    [false, { steps: USUAL, more: 1 }],
    [false, { steps: USUAL, nodes: 1.5 }],
    [false, { steps: USUAL, agentGeneration: 'old' }],
    [false, withStep({ explode: {} })],
    [false, withStep({ wait: 'soon' })],
    [false, withStep({ wait: 1, settle: {} })],
    [false, withStep({ replace: {} })],
    [false, withStep({ join: '200' })],
    [false, withStep({ drain: { perSecond: 0 } })],
    [false, withStep({ churn: { podsPerSecondAndNode: 1 } })],
    [false, withStep({ throttle: { neighbourShare: 2 } })],
    [false, withStep({ fault: { target: 'agents', rules: [] } })],
  ])('%s: %j', (expected, file) => {
    expect([isScenario(file), faultsOf(file).length === 0]).toEqual([expected, expected])
  })
})
