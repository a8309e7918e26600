import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LOG_FIELDS } from '../../../src/telemetry/log-fields.ts'

const ROOT = join(import.meta.dirname, '../../..')
const CALL = /\blog\.(?:debug|info|warn|error)\(\s*\{/gi

/** The names at the top level of the object literal that starts at `open`. */
function topLevelNames(text: string, open: number): string[] {
  let depth = 0
  let literal = ''
  for (const character of text.slice(open)) {
    if ('{(['.includes(character)) depth += 1
    if ('})]'.includes(character)) depth -= 1
    if (depth === 0) break
    if (depth === 1) literal += character
  }
  return literal
    .slice(1)
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '' && !part.startsWith('...'))
    .map((part) => /^['"]?(\w+)/.exec(part)?.[1] ?? part)
}

/** Fields of log lines that the list does not name, as `file: field`. */
function unknownFields(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([file, text]) =>
    [...text.matchAll(CALL)]
      .flatMap((match) => topLevelNames(text, match.index + match[0].length - 1))
      .filter((name) => !Object.hasOwn(LOG_FIELDS, name))
      .map((name) => `${file}: ${name}`),
  )
}

function sources(): Map<string, string> {
  const files = new Map<string, string>()
  for (const folder of ['src', 'providers'])
    for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }))
      if (name.endsWith('.ts')) files.set(`${folder}/${name}`, readFileSync(join(ROOT, folder, name), 'utf8'))
  return files
}

describe('log fields', () => {
  test('of every log line are in the list', () => {
    expect(unknownFields(sources())).toEqual([])
  })

  test.each([
    { line: "log.info({ node, nodeName: 1, count }, 'Assigned')", unknown: ['a.ts: nodeName'] },
    { line: "this.#log.warn({ error: wrap({ deep: 1 }), ...more,\n 'colour': 2 }, 'x')", unknown: ['a.ts: colour'] },
    { line: "log.error({ node }, 'x')", unknown: [] },
  ])('are found in $line', ({ line, unknown }) => {
    expect(unknownFields(new Map([['a.ts', line]]))).toEqual(unknown)
  })
})
