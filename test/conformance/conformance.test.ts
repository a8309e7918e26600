import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/runtime/clock.ts'
import { ALL_ADAPTERS } from './adapters/all.ts'
import { DIFFERENCES } from './differences.ts'
import { loadVectorFile, SUITES } from './load-vectors.ts'
import { runCases } from './run-cases.ts'

/** The repository's vectors on the project's code, as `npm run conformance` runs them. */

/** Kinds that have no adapter yet are skipped; these suites are complete. */
const COMPLETE_SUITES: readonly string[] = ['core', 'agent']

describe('conformance', () => {
  test.each(SUITES)('no vector of %s fails', async (suite) => {
    const cases = loadVectorFile(join(import.meta.dirname, 'vectors', `${suite}.json`))
    const lines: string[] = []
    const options = { adapters: ALL_ADAPTERS, differences: DIFFERENCES, clock: systemClock() }
    const totals = await runCases(cases, options, (line) => lines.push(line))
    expect(lines.filter((line) => line.startsWith('failed'))).toEqual([])
    expect(totals.passed + totals.differ + totals.skipped).toBe(cases.length)
    expect(cases.length).toBeGreaterThan(50)
    if (COMPLETE_SUITES.includes(suite)) expect(lines.filter((line) => line.startsWith('skipped'))).toEqual([])
  })
})
