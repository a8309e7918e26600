import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

interface Row {
  readonly id: string
  readonly here: string
  /** As the table names them. */
  readonly tests: readonly { readonly file: string; readonly name: string }[]
  /** What stands in place of a test: why there is none. */
  readonly reason: string
}

/** Rows of the tables: | A1 | numbers | in the field | here | `file › name`; … | */
function parseRows(document: string): Row[] {
  return [...document.matchAll(/^\| ([AB]\d+) \|[^|]*\|[^|]*\|([^|]*)\|([^|]*)\|$/gm)].map(
    ([, id = '', here = '', last = '']) => {
      const tests = [...last.matchAll(/`([^`›]+) › ([^`]+)`/g)].map(([, file = '', name = '']) => ({ file, name }))
      return { id, here: here.trim(), tests, reason: tests.length === 0 ? last.trim() : '' }
    },
  )
}

/** Whether the text of a test file has a test with this title (its template, where the test runs over a table). */
function hasTest(text: string, name: string): boolean {
  const title = name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll("'", String.raw`\\?'`)
  return new RegExp(String.raw`\(\s*(['"\`])${title}\1,\s*(?:async )?\(`).test(text)
}

/** Rows of the AWS table: | 1 | … | `file`: "part of a title", …; … | */
function parseAWSRows(document: string): Pick<Row, 'id' | 'tests'>[] {
  return [...document.matchAll(/^\| (\d+) \|.*\|([^|]*)\|$/gm)].map(([, id = '', last = '']) => ({
    id,
    tests: [...last.matchAll(/`([^`]+)`: ((?:"[^"]+"(?:, )?)+)/g)].flatMap(([, file = '', names = '']) =>
      [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => ({ file, name })),
    ),
  }))
}

/** Whether a text in quotes has this part: a title, or the name of a row of a test's table. */
function hasText(text: string, part: string): boolean {
  const escaped = part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(String.raw`(?:^|[\s([{:,])(['"\`])(?:(?!\1).)*${escaped}`).test(text)
}

const document = readFileSync(join(root, 'docs/field-defects.md'), 'utf8')
const awsRows = parseAWSRows(readFileSync(join(root, 'docs/field-defects-aws.md'), 'utf8'))
const agentRows = parseAWSRows(readFileSync(join(root, 'docs/field-defects-agent.md'), 'utf8'))
const azureRows = parseAWSRows(readFileSync(join(root, 'docs/field-defects-azure.md'), 'utf8'))
const rows = parseRows(document)
const IDS = [
  ...Array.from({ length: 35 }, (_, index) => `A${index + 1}`),
  ...Array.from({ length: 19 }, (_, index) => `B${index + 1}`),
]

describe('docs/field-defects.md', () => {
  test('has every row once, in order', () => {
    expect(rows.map(({ id }) => id)).toEqual(IDS)
  })

  test.each(rows)('$id has a test, or the reason why not', ({ here, tests, reason }) => {
    if (tests.length === 0) expect(reason).toMatch(/^(other cloud|later work): /)
    else expect(here).not.toBe('—')
    for (const { file, name } of tests) {
      expect(existsSync(join(root, file)), `${file} exists`).toBe(true)
      const text = readFileSync(join(root, file), 'utf8')
      expect(hasTest(text, name), `${file} has the test '${name}'`).toBe(true)
    }
  })

  test('leaves hardly a row without a test', () => {
    expect(rows.filter(({ tests }) => tests.length === 0).map(({ id }) => id)).toEqual(['A24'])
  })
})

describe('docs/field-defects-aws.md', () => {
  test('has its rows in order, and hardly one without a test', () => {
    expect(awsRows.map(({ id }) => id)).toEqual(awsRows.map((_, index) => String(index + 1)))
    expect(awsRows.length).toBeGreaterThanOrEqual(34)
    expect(awsRows.filter(({ tests }) => tests.length === 0).map(({ id }) => id)).toEqual(['28'])
  })

  test.each(awsRows)('the tests of row $id are there', ({ tests }) => {
    for (const { file, name } of tests) {
      expect(existsSync(join(root, file)), `${file} exists`).toBe(true)
      const text = readFileSync(join(root, file), 'utf8')
      expect(hasText(text, name), `${file} has '${name}'`).toBe(true)
    }
  })
})

describe('docs/field-defects-agent.md', () => {
  test('has its rows in order, and hardly one without a test', () => {
    expect(agentRows.map(({ id }) => id)).toEqual(Array.from({ length: 22 }, (_, index) => String(index + 1)))
    expect(agentRows.filter(({ tests }) => tests.length === 0).map(({ id }) => id)).toEqual(['22'])
  })

  test.each(agentRows)('the tests of row $id are there', ({ tests }) => {
    for (const { file, name } of tests) {
      expect(existsSync(join(root, file)), `${file} exists`).toBe(true)
      expect(hasText(readFileSync(join(root, file), 'utf8'), name), `${file} has '${name}'`).toBe(true)
    }
  })
})

describe('docs/field-defects-azure.md', () => {
  test('has its rows in order, each with a test', () => {
    expect(azureRows.map(({ id }) => id)).toEqual(Array.from({ length: 19 }, (_, index) => String(index + 1)))
    expect(azureRows.filter(({ tests }) => tests.length === 0)).toEqual([])
  })

  test.each(azureRows)('the tests of row $id are there', ({ tests }) => {
    for (const { file, name } of tests) {
      expect(existsSync(join(root, file)), `${file} exists`).toBe(true)
      expect(hasText(readFileSync(join(root, file), 'utf8'), name), `${file} has '${name}'`).toBe(true)
    }
  })
})

describe('the check itself', () => {
  const text = [
    "test('is served, whatever happens', async () => {",
    "test.each([1])('%s (costs $n)', (n) => {",
    "  test.each([2])(\n    'over two lines',\n    (n) => {",
    "// test 'in a comment' is none",
    'test("whose name has the word\'s apostrophe", () => {',
  ].join('\n')

  test.each([
    { name: 'is served, whatever happens', found: true },
    { name: 'is served', found: false },
    { name: '%s (costs $n)', found: true },
    { name: 'over two lines', found: true },
    { name: 'in a comment', found: false },
    { name: "whose name has the word's apostrophe", found: true },
  ])('finds "$name": $found', ({ name, found }) => {
    expect(hasTest(text, name)).toBe(found)
  })

  test.each([
    { part: 'served, whatever', found: true },
    { part: 'async', found: false },
    { part: 'no such text', found: false },
  ])('finds the text "$part": $found', ({ part, found }) => {
    expect(hasText(text, part)).toBe(found)
  })

  test('reads the tests of the AWS rows', () => {
    expect(
      parseAWSRows('| 7 | #1 | bad | good | `a.ts`: "b", "c d"; `e.ts`: "f" |\n| 8 | #2 | bad | good | — |'),
    ).toEqual([
      {
        id: '7',
        tests: [
          { file: 'a.ts', name: 'b' },
          { file: 'a.ts', name: 'c d' },
          { file: 'e.ts', name: 'f' },
        ],
      },
      { id: '8', tests: [] },
    ])
  })

  test('reads tests and reasons of rows, and nothing else', () => {
    const table =
      '| Row | Number | x | y | Test |\n| A1 | 1, 2 | bad | good | `a.ts › b`; `c.ts › d` |\n| B2 | — | bad | — | later work: why |\n'
    expect(parseRows(table)).toEqual([
      {
        id: 'A1',
        here: 'good',
        tests: [
          { file: 'a.ts', name: 'b' },
          { file: 'c.ts', name: 'd' },
        ],
        reason: '',
      },
      { id: 'B2', here: '—', tests: [], reason: 'later work: why' },
    ])
  })
})
