import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parseExplainCommand } from '../src/cli/explain.ts'
import { parseFleetOptions } from '../src/cli/fleet-options.ts'
import { parseUpOptions } from '../src/cli/up-options.ts'
import { loadConfig } from '../src/config/load.ts'

/** The README's examples are commands that this version understands, and its links lead somewhere. What they do is tested elsewhere. */

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const scripts = Object.keys(
  (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts,
)

const blocks = [...readme.matchAll(/^```\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '')
const commands = blocks
  .flatMap((block) => block.split('\n'))
  .flatMap((line) => line.split('&&'))
  .map((line) => line.replace(/\s#.*$/, '').trim())
  .filter((line) => /^(npm|node) /.test(line))

function understand(command: string): void {
  const [program, first = '', ...rest] = command.split(/\s+/)
  const args = rest[0] === '--' ? rest.slice(1) : rest
  if (program === 'npm') {
    if (first === 'ci') return
    const script = first === 'run' ? (rest[0] ?? '') : first
    expect(scripts).toContain(script)
    if (script === 'start') parseUpOptions(args)
    return
  }
  expect(first).toBe('bin/berth.mjs')
  const [name, ...options] = args
  if (name === 'fleet') parseFleetOptions(options)
  else if (name === 'controller') loadConfig(options, {})
  else if (name === 'explain') parseExplainCommand(options)
  else throw new Error(`no check for the command '${name}' of the README`)
}

test.each(commands)('the README’s example is understood: %s', (command) => {
  expect(() => understand(command)).not.toThrow()
})

test('an example with a wrong option would be found', () => {
  expect(() => understand('npm start -- --node 50')).toThrow('--node')
  expect(() => understand('node bin/berth.mjs controller --ipm eni')).toThrow('--ipm')
  expect(commands.length).toBeGreaterThan(6)
})

test('every link of the README to a file of the repository leads somewhere', () => {
  const targets = [...readme.matchAll(/\]\(([^)#]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((to) => !to.includes(':'))
  expect(targets.filter((target) => !existsSync(join(root, target)))).toEqual([])
})
