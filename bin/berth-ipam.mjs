#!/usr/bin/env node
// The door of the CNI IPAM plug-in. As bin/berth.mjs: Node runs the TypeScript source itself from 22.18 on; on an older Node this
// re-executes on the binary that the optional dependencies bring (docs/decisions/0001-runtime.md).
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import module from 'node:module'
import process from 'node:process'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const runsTypeScript = major > 22 || (major === 22 && minor >= 18)

if (runsTypeScript) {
  module.enableCompileCache?.()
  const { runIPAMPlugin } = await import('../src/cli/ipam-plugin.ts')
  process.exitCode = await runIPAMPlugin(process.argv.slice(2))
} else {
  const bundled = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url))
  if (existsSync(bundled)) {
    // Short-lived, with its input on a pipe: the child takes over all three streams.
    const { status } = spawnSync(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
      stdio: 'inherit',
    })
    process.exitCode = status ?? 1
  } else {
    const msg = `Node ${process.versions.node} is too old and no bundled Node was found; install Node 22.18 or newer`
    process.stdout.write(`${JSON.stringify({ cniVersion: '1.1.0', code: 100, msg })}\n`)
    process.exitCode = 1
  }
}
