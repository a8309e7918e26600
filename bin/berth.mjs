#!/usr/bin/env node
// The program's door. Node runs the TypeScript source itself from 22.18 on; on an older Node this re-executes on the binary
// that the optional dependencies bring (docs/decisions/0001-runtime.md). Plain JavaScript, so that any Node can read it.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import module from 'node:module'
import process from 'node:process'
import v8 from 'node:v8'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const runsTypeScript = major > 22 || (major === 22 && minor >= 18)

// Heap sizes that hold from the start of a process or not at all, by command. A simulated fleet makes much that lives for a few
// events: in a small young generation most of it is copied to the old one first, and collected there at several times the cost.
const HEAP_OPTIONS = { fleet: ['--max-semi-space-size=64'] }
const options = (HEAP_OPTIONS[process.argv[2] ?? ''] ?? []).filter((option) => !process.execArgv.includes(option))

if (runsTypeScript && options.length === 0) {
  module.enableCompileCache?.()
  // When the process seems idle, V8 compacts its whole heap at once to give memory back: 84 to 122 ms in which nobody is answered.
  // Without this favour the same collections take about 20 ms. Older versions do not know the flag and would complain.
  // And a heap may grow by a third until the next collection; by default it grows to several times what lives in it.
  if (major >= 24) v8.setFlagsFromString('--no-memory-reducer-favors-memory --heap-growing-percent=33')
  const { main } = await import('../src/main.ts')
  process.exitCode = await main(process.argv.slice(2))
} else if (runsTypeScript) {
  executeOn(process.execPath)
} else {
  const bundled = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url))
  if (!existsSync(bundled)) {
    process.stderr.write(
      `berth: Node ${process.versions.node} is too old and no bundled Node was found; install Node 22.18 or newer, or run 'npm ci' with optional dependencies\n`,
    )
    process.exit(1)
  }
  executeOn(bundled)
}

function executeOn(node) {
  const program = fileURLToPath(import.meta.url)
  const child = spawn(node, [...process.execArgv, ...options, program, ...process.argv.slice(2)], { stdio: 'inherit' })
  // A terminal sends Ctrl-C to the whole foreground group; a supervisor signals only this process. Forwarding covers both.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1
  })
}
