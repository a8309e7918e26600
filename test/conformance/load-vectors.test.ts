import { describe, expect, test } from 'vitest'
import { loadVectorFile, parseVectors, VectorFileError } from './load-vectors.ts'

const parse = (document: unknown) => parseVectors(JSON.stringify(document), 'some.json')

describe('parseVectors', () => {
  test('brings the shape of core.json to the common form', () => {
    const item = {
      id: 'n-1',
      kind: 'needed_ips',
      profile: '>=1.15',
      source: 'derived',
      input: { a: 1 },
      expect: { b: 2 },
    }
    expect(parse({ schema: 'eni-ipam-core-vectors', schemaVersion: 1, count: 1, cases: [item] })).toEqual([
      {
        suite: 'core',
        id: 'n-1',
        kind: 'needed_ips',
        profile: '>=1.15',
        bound: '>=1.15',
        input: { a: 1 },
        expect: { b: 2 },
        note: '',
      },
    ])
  })

  test('brings the shape of aws.json to the common form', () => {
    const item = { id: 'aws-1', kind: 'gc', title: 't', given: { a: 1 }, expect: null, note: 'why' }
    expect(parse({ schema: 'aws-vectors/1', vectors: [item, { ...item, appliesTo: '>=1.18' }] })).toEqual([
      {
        suite: 'aws',
        id: 'aws-1',
        kind: 'gc',
        profile: 'all',
        bound: 'all',
        input: { a: 1 },
        expect: null,
        note: 'why',
      },
      {
        suite: 'aws',
        id: 'aws-1',
        kind: 'gc',
        profile: '>=1.18',
        bound: '>=1.18',
        input: { a: 1 },
        expect: null,
        note: 'why',
      },
    ])
  })

  test.each(['azure', 'alibabacloud'])("reads the profiles of %s through the file's own table", (provider) => {
    const item = { id: 'p-1', kind: 'scenario', profile: '1.15', title: 't', given: {}, expect: {} }
    const profiles = { '1.15': 'v1.15 and later' }
    const [first, second] = parse({
      schema: 'provider-vectors/1',
      provider,
      profiles,
      vectors: [item, { ...item, profile: 'new' }],
    })
    expect(first).toMatchObject({ suite: provider, profile: '1.15', bound: 'v1.15 and later' })
    expect(second).toMatchObject({ profile: 'new', bound: 'new' })
  })

  test('brings the shape of agent.json to the common form: its steps carry their expectations', () => {
    const steps = [{ op: 'counts', expect: { value: 1 } }]
    const [item] = parse({
      schema: 'agent-vectors/1',
      vectors: [{ id: 'a-1', area: 'ip-range', profile: 'core', title: 't', setup: { cidr: '10.0.0.0/24' }, steps }],
    })
    expect(item).toMatchObject({ suite: 'agent', kind: 'ip-range', expect: undefined })
    expect(item?.input).toEqual({ setup: { cidr: '10.0.0.0/24' }, setupExpect: undefined, steps })
  })

  test('a case may list what holds instead of one expectation', () => {
    const item = { id: 'n-1', kind: 'k', input: {}, oneOf: [{ a: 1 }, { a: 2 }] }
    const [first] = parse({ schema: 'eni-ipam-core-vectors', cases: [item] })
    expect(first).toMatchObject({ profile: 'all', expect: { oneOf: [{ a: 1 }, { a: 2 }] } })
  })

  test.each([
    { name: 'an unknown schema', document: { schema: 'other/2', vectors: [] }, message: /some\.json .* at schema: / },
    { name: 'no schema', document: [], message: /some\.json is not well-formed/ },
    { name: 'no cases', document: { schema: 'aws-vectors/1' }, message: /at vectors: / },
    {
      name: 'a case without kind',
      document: { schema: 'eni-ipam-core-vectors', cases: [{ id: 'x', input: {} }] },
      message: /at cases\.0\.kind: /,
    },
    {
      name: 'an input that is no object',
      document: { schema: 'eni-ipam-core-vectors', cases: [{ id: 'x', kind: 'k', input: 3 }] },
      message: /at cases\.0\.input: /,
    },
  ])('refuses $name in one line that names file and place', ({ document, message }) => {
    expect(() => parse(document)).toThrow(VectorFileError)
    expect(() => parse(document)).toThrow(message)
    expect(() => parse(document)).toThrow(/^[^\n]+$/)
  })

  test('refuses a file cut in half', () => {
    expect(() => parseVectors('{"schema": "aws-vec', 'cut.json')).toThrow(/cut\.json is not JSON: /)
  })

  test('refuses a file that is not there', () => {
    expect(() => loadVectorFile('/nowhere/core.json')).toThrow(/Cannot read vector file \/nowhere\/core\.json: ENOENT/)
  })
})
