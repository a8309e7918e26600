import { parseArgs } from 'node:util'
import { systemClock } from '../../src/runtime/clock.ts'
import { DIFFERENCES } from './differences.ts'
import type { ConformanceCase } from './load-vectors.ts'
import { loadVectorFile, VectorFileError } from './load-vectors.ts'
import { runCases } from './run-cases.ts'

const HELP = `Usage: npm run conformance -- FILE...

Runs vector files (the repository's own are in test/conformance/vectors) on the project's code.
One line for each failure, one for each kind that has no adapter, one for each difference on purpose
that showed (test/conformance/differences.json); the last line is
"N passed, N failed, N differ, N skipped".

Exit: 0 when nothing failed, 1 when a case failed, 2 for a bad option or a file that cannot be read or is ill-formed.
`

/** What ends the program before a case runs: the message for stderr. */
class UsageError extends Error {
  override readonly name = 'UsageError'
}

function readArguments(args: readonly string[]): { readonly help: boolean; readonly files: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h', default: false } },
    })
    return { help: values.help, files: positionals }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

async function main(args: readonly string[]): Promise<number> {
  const { help, files } = readArguments(args)
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  if (files.length === 0)
    throw new UsageError('No vector file given: npm run conformance -- FILE... (--help says more)')
  // All files are read before the first case runs: a bad one says so at once.
  const cases: ConformanceCase[] = files.flatMap((file) => loadVectorFile(file))
  // Loaded here, because the clouds' SDKs take a second that a wrong argument need not wait for.
  const { ALL_ADAPTERS } = await import('./adapters/all.ts')
  const options = { adapters: ALL_ADAPTERS, differences: DIFFERENCES, clock: systemClock() }
  const totals = await runCases(cases, options, (line) => process.stdout.write(`${line}\n`))
  return totals.failed > 0 ? 1 : 0
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof VectorFileError || error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
