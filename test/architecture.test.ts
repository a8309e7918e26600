import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/**
 * Keeps the import table of docs/architecture.md true, and time and chance behind their two doors.
 * Files are read as text: an import that TypeScript erases counts too, unless the table allows types.
 */

const root = normalize(join(dirname(fileURLToPath(import.meta.url)), '..'))

interface SourceFile {
  readonly path: string
  readonly text: string
}

interface ImportLine {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

/** What a folder may import: whole folders or files by prefix; a prefix after `type ` only with `import type`. */
const MAY_IMPORT: readonly (readonly [folder: string, allowed: readonly string[]])[] = [
  ['src/runtime/', ['src/runtime/']],
  ['src/ipam/', ['src/ipam/', 'src/runtime/']],
  ['src/budget/', ['src/budget/', 'src/runtime/']],
  // ConfigError and KubernetesAPIError are what these folders throw: of src/ipam they use types and the error classes.
  ['src/config/', ['src/config/', 'src/runtime/', 'type src/ipam/', 'src/ipam/errors.ts', 'src/ipam/types.ts']],
  ['src/kubernetes/', ['src/kubernetes/', 'src/runtime/', 'type src/ipam/', 'src/ipam/cilium-node.ts']],
  ['src/telemetry/', ['src/telemetry/', 'src/runtime/', 'type src/ipam/']],
  [
    'src/controller/',
    [
      'src/controller/',
      'src/ipam/',
      'src/kubernetes/',
      'src/telemetry/',
      'src/runtime/',
      'type src/budget/',
      'type src/config/',
    ],
  ],
  ['src/audit/', ['src/audit/', 'src/ipam/', 'src/runtime/']],
  ['src/explain/', ['src/explain/', 'src/ipam/', 'src/runtime/', 'type src/budget/', 'type src/controller/']],
  ['src/status-page/', ['src/status-page/', 'src/explain/', 'src/runtime/', 'type src/ipam/', 'type src/telemetry/']],
  ['src/agent/', AGENT_LIKE('src/agent/')],
  ['src/pools/', AGENT_LIKE('src/pools/')],
  ['providers/aws/', PROVIDER('providers/aws/')],
  ['providers/azure/', PROVIDER('providers/azure/')],
  ['providers/alibabacloud/', PROVIDER('providers/alibabacloud/')],
  ['simulators/kit/', ['simulators/kit/']],
  ['simulators/aws/', ['simulators/aws/', 'simulators/kit/']],
  ['simulators/azure/', ['simulators/azure/', 'simulators/kit/']],
  ['simulators/alibabacloud/', ['simulators/alibabacloud/', 'simulators/kit/']],
  ['simulators/kubernetes/', ['simulators/kubernetes/', 'simulators/kit/']],
  // The one composition root: the only place that names providers and simulators.
  ['src/main.ts', ['src/', 'providers/*/index.ts', 'simulators/*/index.ts', 'simulators/kit/']],
  ['src/cli/', ['src/', 'providers/*/index.ts', 'simulators/*/index.ts', 'simulators/kit/']],
  ['src/fleet/', ['src/', 'providers/*/index.ts', 'simulators/*/index.ts', 'simulators/kit/']],
]

function AGENT_LIKE(self: string): readonly string[] {
  return [
    self,
    'src/ipam/ip-range.ts',
    'src/runtime/',
    'type src/ipam/',
    'type src/config/',
    'type src/kubernetes/',
    'type src/telemetry/',
  ]
}

function PROVIDER(self: string): readonly string[] {
  return [self, 'src/ipam/', 'src/budget/', 'src/runtime/']
}

/** Time and chance read directly. Only src/runtime and simulators/kit may. */
const BANNED_CALLS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['Date.now', /\bDate\.now\s*\(/],
  ['new Date()', /\bnew Date\(\s*\)/],
  ['performance.now', /\bperformance\.now\s*\(/],
  ['Math.random', /\bMath\.random\s*\(/],
  ['crypto.randomUUID', /\bcrypto\.random\w+\s*\(|\brandom(UUID|Bytes|Int)\b[^;'"]*from ['"](node:)?crypto['"]/],
  ['setTimeout', /(?<![.\w])setTimeout\s*\(/],
  ['setInterval', /(?<![.\w])setInterval\s*\(/],
  ['timers/promises', /from ['"](node:)?timers\/promises['"]/],
]
const TIME_AND_CHANCE_LIVE_IN = ['src/runtime/', 'simulators/kit/']

function sourceFiles(...folders: string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name))
      .sort()
      .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') })),
  )
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1')
}

/** Imports and re-exports of the project's own files. */
function importsOf(file: SourceFile): ImportLine[] {
  const lines: ImportLine[] = []
  const statement =
    /\b(import|export)\s+(type\s+)?([^'";]*?)\s*from\s*['"](\.[^'"]+)['"]|\bimport\s*\(\s*['"](\.[^'"]+)['"]/g
  for (const match of withoutComments(file.text).matchAll(statement)) {
    const target = match[4] ?? match[5] ?? ''
    lines.push({
      from: file.path,
      to: relative(root, join(root, dirname(file.path), target)),
      typeOnly: match[2] !== undefined,
    })
  }
  return lines
}

function isAllowed(line: ImportLine, allowed: readonly string[]): boolean {
  return allowed.some((entry) => {
    const typesOnly = entry.startsWith('type ')
    if (typesOnly && !line.typeOnly) return false
    const pattern = typesOnly ? entry.slice('type '.length) : entry
    if (pattern.includes('*'))
      return new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^/]+')}$`).test(line.to)
    return line.to.startsWith(pattern)
  })
}

function forbiddenImports(files: readonly SourceFile[]): string[] {
  const faults: string[] = []
  for (const file of files) {
    const rule = MAY_IMPORT.find(([folder]) => file.path.startsWith(folder))
    if (rule === undefined) {
      faults.push(`${file.path}: in no folder of the import table`)
      continue
    }
    for (const line of importsOf(file))
      if (!isAllowed(line, rule[1])) faults.push(`${line.from} imports ${line.to}${line.typeOnly ? ' (types)' : ''}`)
  }
  return faults
}

function bannedCalls(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => !TIME_AND_CHANCE_LIVE_IN.some((folder) => file.path.startsWith(folder)))
    .flatMap((file) =>
      BANNED_CALLS.filter(([, pattern]) => pattern.test(withoutComments(file.text))).map(
        ([name]) => `${file.path} calls ${name}`,
      ),
    )
}

const files = sourceFiles('src', 'providers', 'simulators')

describe('architecture', () => {
  test('every import follows the table of docs/architecture.md', () => {
    expect(forbiddenImports(files)).toEqual([])
  })

  test('time and chance are read only in src/runtime and simulators/kit', () => {
    expect(bannedCalls(files)).toEqual([])
  })

  test('a provider is reached only through its index.ts, and only from the composition root', () => {
    const outside = files
      .filter((file) => !file.path.startsWith('providers/'))
      .flatMap(importsOf)
      .filter((line) => line.to.startsWith('providers/'))
    for (const line of outside) {
      expect(line.to).toMatch(/^providers\/[^/]+\/index\.ts$/)
      expect(line.from).toMatch(/^src\/(main\.ts|cli\/|fleet\/)/)
    }
  })
})

describe('the checks themselves', () => {
  const at = (path: string, text: string): SourceFile => ({ path, text })

  test.each([
    at('src/ipam/a.ts', "import { x } from '../controller/node.ts'"),
    at('src/controller/a.ts', "import { x } from '../budget/api-budget.ts'"),
    at('simulators/aws/a.ts', "import type { Clock } from '../../src/runtime/clock.ts'"),
    at('providers/aws/a.ts', "import { x } from '../azure/plan.ts'"),
    at('src/controller/a.ts', "import { x } from '../../providers/aws/index.ts'"),
    at('src/cli/a.ts', "const x = await import('../../providers/aws/node.ts')"),
    at('src/ipam/a.ts', "export { x } from '../kubernetes/client.ts'"),
  ])('refuses $text in $path', (file) => {
    expect(forbiddenImports([file])).toHaveLength(1)
  })

  test.each([
    at('src/controller/a.ts', "import type { APIBudget } from '../budget/contracts.ts'"),
    at('src/cli/a.ts', "import { createAWSProvider } from '../../providers/aws/index.ts'"),
    at('src/ipam/a.ts', "// import { x } from '../controller/node.ts'"),
  ])('accepts $text in $path', (file) => {
    expect(forbiddenImports([file])).toEqual([])
  })

  test.each([
    'const t = Date.now()',
    'setTimeout(f, 5)',
    'const r = Math.random()',
    'const d = new Date()',
    "import { randomUUID } from 'node:crypto'",
  ])('refuses %s outside of the two doors', (text) => {
    expect(bannedCalls([at('src/ipam/a.ts', text)])).toHaveLength(1)
    expect(bannedCalls([at('src/runtime/a.ts', text)])).toEqual([])
  })

  test.each(['new Date(0)', 'clock.setTimeout(f)', '// Date.now()'])('accepts %s', (text) => {
    expect(bannedCalls([at('src/ipam/a.ts', text)])).toEqual([])
  })
})
