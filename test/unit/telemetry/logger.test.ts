import { describe, expect, test } from 'vitest'
import { createLogger } from '../../../src/telemetry/logger.ts'
import type { LogLevel } from '../../../src/telemetry/logger.ts'
import { ManualClock } from '../../support/manual-clock.ts'

function logger(level: LogLevel, pretty = false): { log: ReturnType<typeof createLogger>; lines: string[] } {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { log: createLogger({ level, destination, pretty, clock: new ManualClock(1500) }), lines }
}

describe('createLogger', () => {
  test('writes one JSON object a line, with the time of the passed clock', () => {
    const { log, lines } = logger('info')
    log.info({ node: 'node-1', count: 16 }, 'Assigned addresses')
    expect(lines).toHaveLength(1)
    expect(lines[0]?.endsWith('\n')).toBe(true)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      time: '2026-01-01T00:00:01.500Z',
      node: 'node-1',
      count: 16,
      msg: 'Assigned addresses',
    })
  })

  test.each<{ level: LogLevel; written: string[] }>([
    { level: 'debug', written: ['debug', 'info', 'warn', 'error'] },
    { level: 'info', written: ['info', 'warn', 'error'] },
    { level: 'warn', written: ['warn', 'error'] },
    { level: 'error', written: ['error'] },
  ])('$level writes $written', ({ level, written }) => {
    const { log, lines } = logger(level)
    log.debug({}, 'a')
    log.info({}, 'b')
    log.warn({}, 'c')
    log.error({}, 'd')
    expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(written)
  })

  test('shows the causes of an error', () => {
    const { log, lines } = logger('info')
    log.error({ error: new Error('Cannot attach eni-7', { cause: new TypeError('socket hang up') }) }, 'Call failed')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: 'Call failed',
      error: { type: 'Error', message: 'Cannot attach eni-7', cause: { type: 'TypeError', message: 'socket hang up' } },
    })
  })

  test.each(['error', 'err'])('shows of an error in `%s` no more than that', (field) => {
    const { log, lines } = logger('info')
    const error = Object.assign(new Error('refused'), { $request: { headers: { authorization: 'secret' } } })
    log.error({ [field]: error }, 'Call failed')
    expect(lines[0]).toContain('refused')
    expect(lines[0]).not.toContain('secret')
  })

  test('writes for people on a terminal: one line, no JSON', () => {
    const { log, lines } = logger('info', true)
    log.info({ node: 'node-1' }, 'Assigned addresses')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('Assigned addresses')
    expect(lines[0]).toContain('node-1')
    expect(() => JSON.parse(lines[0] ?? '') as unknown).toThrow()
  })
})
