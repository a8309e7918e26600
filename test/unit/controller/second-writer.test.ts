import { describe, expect, test } from 'vitest'
import {
  CONTEST_WINDOW_MS,
  fieldsOf,
  fieldsOfSpec,
  fieldsOfStatus,
  NO_FIELD_MEMORY,
  observeField,
  recordOurs,
} from '../../../src/controller/second-writer.ts'
import { ciliumNode, poolOf } from '../../support/builders.ts'

type Step = { readonly ours: number } | { readonly seen: number; readonly atMs: number }

/** @returns the times at which the field counted as contested */
function contests(steps: readonly Step[]): number[] {
  let memory = NO_FIELD_MEMORY
  const times: number[] = []
  for (const step of steps) {
    if ('ours' in step) memory = recordOurs(memory, step.ours)
    else {
      const observed = observeField(memory, step.seen, step.atMs)
      memory = observed.memory
      if (observed.isContested) times.push(step.atMs)
    }
  }
  return times
}

describe('observeField', () => {
  test.each<{ name: string; steps: readonly Step[]; times: readonly number[] }>([
    { name: 'what was there before is ours', steps: [{ seen: 1, atMs: 0 }], times: [] },
    {
      name: 'one foreign change is no fight',
      steps: [
        { seen: 1, atMs: 0 },
        { seen: 2, atMs: 5 },
      ],
      times: [],
    },
    {
      name: 'two within the window are',
      steps: [{ seen: 1, atMs: 0 }, { seen: 2, atMs: 5 }, { ours: 3 }, { seen: 3, atMs: 6 }, { seen: 4, atMs: 7 }],
      times: [7],
    },
    {
      name: 'two far apart are not',
      steps: [
        { seen: 1, atMs: 0 },
        { seen: 2, atMs: 5 },
        { seen: 3, atMs: 5 + CONTEST_WINDOW_MS },
      ],
      times: [],
    },
    {
      name: 'the same foreign value seen again is one change',
      steps: [
        { seen: 1, atMs: 0 },
        { seen: 2, atMs: 5 },
        { seen: 2, atMs: 6 },
        { seen: 2, atMs: 7 },
      ],
      times: [],
    },
    {
      name: 'our own values, old ones too, are never foreign',
      steps: [
        { seen: 1, atMs: 0 },
        { ours: 2 },
        { ours: 3 },
        { seen: 3, atMs: 1 },
        { seen: 2, atMs: 2 },
        { seen: 1, atMs: 3 },
      ],
      times: [],
    },
    {
      name: 'a foreign value that comes back after ours is a second change',
      steps: [{ seen: 1, atMs: 0 }, { seen: 2, atMs: 1 }, { ours: 1 }, { seen: 1, atMs: 2 }, { seen: 2, atMs: 3 }],
      times: [3],
    },
  ])('$name', ({ steps, times }) => {
    expect(contests(steps)).toEqual(times)
  })

  test('remembers a bounded number of values', () => {
    let memory = NO_FIELD_MEMORY
    for (let value = 0; value < 1_000; value++) memory = recordOurs(memory, value)
    expect(memory.ours.length).toBeLessThanOrEqual(6)
  })
})

describe('the digests of a resource and of what is wanted', () => {
  const eni = { enis: { 'eni-1': { id: 'eni-1', addresses: ['10.0.0.1'] } } }

  test('are equal for the same content, in whatever order it comes', () => {
    const pool = poolOf('eni-1', ['10.0.0.1', '10.0.0.2'])
    const reversed = poolOf('eni-1', ['10.0.0.2', '10.0.0.1'])
    const node = ciliumNode({ ipam: { pool }, eni: { enis: { 'eni-1': { addresses: ['10.0.0.1'], id: 'eni-1' } } } })
    expect(fieldsOf(node).get('spec.ipam.pool')).toBe(fieldsOfSpec({ pool: reversed }).get('spec.ipam.pool'))
    const wanted = fieldsOfStatus({ provider: { section: 'eni', value: eni }, releaseIPs: null, operatorError: '' })
    expect(fieldsOf(node).get('status.eni')).toBe(wanted.get('status.eni'))
  })

  test('do not tell absent from empty', () => {
    expect(fieldsOf(ciliumNode()).get('spec.ipam.pool')).toBe(fieldsOfSpec({ pool: null }).get('spec.ipam.pool'))
    const withEmpty = ciliumNode({
      eni: { enis: { 'eni-1': { ...eni.enis['eni-1'], prefixes: [], description: '' } } },
    })
    expect(fieldsOf(withEmpty).get('status.eni')).toBe(fieldsOf(ciliumNode({ eni })).get('status.eni'))
  })

  test('differ where the content does', () => {
    const other = { enis: { 'eni-1': { id: 'eni-1', addresses: ['10.0.0.2'] } } }
    expect(fieldsOf(ciliumNode({ eni: other })).get('status.eni')).not.toBe(
      fieldsOf(ciliumNode({ eni })).get('status.eni'),
    )
  })
})
