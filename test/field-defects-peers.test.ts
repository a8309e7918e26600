import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/** Reads docs/field-defects-peers.md, so that a test that is renamed or goes is noticed. */

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

interface Row {
  readonly id: number
  readonly tests: readonly { readonly file: string; readonly name: string }[]
  /** What stands in place of a test. */
  readonly reason: string
}

/** | 7 | … | `file`: "part of a title", "another"; `file`: "…" | */
function parseRows(document: string): Row[] {
  return [...document.matchAll(/^\| (\d+) \|.*\|([^|]*)\|$/gm)].map(([, id = '', last = '']) => {
    const tests = [...last.matchAll(/`([^`]+)`: ((?:"[^"]+"(?:, )?)+)/g)].flatMap(([, file = '', names = '']) =>
      [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => ({ file, name })),
    )
    return { id: Number(id), tests, reason: tests.length === 0 ? last.trim() : '' }
  })
}

/** Whether a test has a title with this part, its template where it runs over a table. */
function hasTitle(text: string, part: string): boolean {
  const escaped = part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(String.raw`(?:\(|name: |title: )\s*(['"\`])(?:(?!\1).)*${escaped}`).test(text)
}

const rows = parseRows(readFileSync(join(root, 'docs/field-defects-peers.md'), 'utf8'))

describe('docs/field-defects-peers.md', () => {
  test('has every row once, in order, and hardly one without a test', () => {
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 25 }, (_, index) => index + 1))
    expect(rows.filter(({ tests }) => tests.length === 0).map(({ id }) => id)).toEqual([5, 17, 25])
  })

  test.each(rows)('row $id has its tests, or the reason why not', ({ tests, reason }) => {
    if (tests.length === 0) expect(reason).toMatch(/^(other product|later work): /)
    for (const { file, name } of tests) {
      expect(existsSync(join(root, file)), `${file} exists`).toBe(true)
      expect(hasTitle(readFileSync(join(root, file), 'utf8'), name), `${file} has '${name}'`).toBe(true)
    }
  })

  test.each([
    { text: "test('is served at once', () => {", found: true },
    { text: "test.each(rows)(\n  'what $name is served at once',", found: true },
    { text: '// is served at once', found: false },
  ])('a title is found in $text: $found', ({ text, found }) => {
    expect(hasTitle(text, 'served at once')).toBe(found)
  })
})
