import process from 'node:process'
import type { Command } from './cli/help.ts'
import { programHelp } from './cli/help.ts'
import { programVersion } from './cli/version.ts'
import { nearestName } from './config/nearest-name.ts'

const OK = 0
const USAGE = 2

/** Each command is loaded when it is run: the help must not pay for a cloud's SDK. */
const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  [
    'up',
    {
      help: 'a simulated cluster and the real controller on this machine, to watch',
      run: async (args) => (await import('./cli/up.ts')).runUp(args),
    },
  ],
  [
    'controller',
    {
      help: 'the controller, for a real cluster',
      run: async (args) => (await import('./cli/controller-command.ts')).runController(args),
    },
  ],
  [
    'agent',
    {
      help: "the node's half: gives a node's addresses to its pods",
      run: async (args) => (await import('./cli/agent-command.ts')).runAgent(args),
    },
  ],
  [
    'explain',
    {
      help: 'asks a running controller why a node, a pod or a call waits, and for how long',
      run: async (args) => (await import('./cli/explain.ts')).runExplain(args),
    },
  ],
  [
    'simulators',
    {
      help: 'the simulated EC2 and Kubernetes APIs alone, for tests of your own',
      run: async (args) => (await import('./cli/simulators.ts')).runSimulators(args),
    },
  ],
  [
    'fleet',
    {
      help: 'a simulated fleet of thousands of nodes in virtual time, and its figures',
      run: async (args) => (await import('./cli/fleet.ts')).runFleet(args),
    },
  ],
  [
    'support-bundle',
    {
      help: 'one archive with what somebody who is to help needs, without secrets',
      run: async (args) => (await import('./cli/support-bundle.ts')).runSupportBundle(args),
    },
  ],
  ['help', { help: 'this text', run: () => Promise.resolve(print(programHelp(COMMANDS))) }],
  [
    'version',
    { help: 'the version of this program', run: () => Promise.resolve(print(`berth ${programVersion()}\n`)) },
  ],
])

const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
])

/**
 * The program.
 *
 * @param argv the arguments, without the interpreter and the script
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function main(argv: readonly string[]): Promise<number> {
  const [written, ...args] = argv
  if (written === undefined) {
    process.stderr.write(programHelp(COMMANDS))
    return USAGE
  }
  const command = COMMANDS.get(SPELLINGS.get(written) ?? written)
  if (command !== undefined) return command.run(args)
  const meant = nearestName(written, [...COMMANDS.keys()])
  const hint = meant === undefined ? "; 'berth help' lists the commands" : `; did you mean ${meant}?`
  process.stderr.write(`berth: unknown command ${written}${hint}\n`)
  return USAGE
}

function print(text: string): number {
  process.stdout.write(text)
  return OK
}
