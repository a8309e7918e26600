import process from 'node:process'
import { text } from 'node:stream/consumers'
import { socketClient } from '../agent/api-client.ts'
import { DEFAULT_SOCKET } from '../agent/cni-config.ts'
import { runPlugin } from '../agent/cni-plugin.ts'
import { SUPPORTED_VERSIONS } from '../agent/cni-version.ts'

const USAGE = 2

/** Longer than the agent may let a request wait (ms). */
const ANSWER_TIMEOUT_MS = 30_000

const HELP = `berth-ipam: CNI IPAM plug-in that gets a container's addresses from 'berth agent'

Run by a container runtime, with CNI_COMMAND and the other CNI_ variables in the environment and the network configuration on
standard input. CNI versions: ${SUPPORTED_VERSIONS.join(', ')}. Members of "ipam" in the configuration:

  type           "berth-ipam"
  socket         the agent's socket (${DEFAULT_SOCKET})
  family         "ipv4" or "ipv6" (every family that the agent serves)
  pool           pool of the addresses (default)
  prefixLengths  {"ipv4": N, "ipv6": N}: prefix that addresses are given with (32 and 128)
  routes         routes of the result, each {"dst": CIDR, "gw": ADDRESS} (none)

Exit codes: 0 done, 1 failed (the reason is on standard output, as JSON), 2 not run by a container runtime.
`

/**
 * `berth-ipam`: one command of a container runtime.
 *
 * @param args of the command line: a runtime gives none
 * @returns the exit code
 */
export async function runIPAMPlugin(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP)
    return 0
  }
  if (args.length > 0 || process.env['CNI_COMMAND'] === undefined) {
    const problem = args.length > 0 ? `unexpected argument ${args[0]}` : 'CNI_COMMAND is not set'
    process.stderr.write(`berth-ipam: ${problem}; this program is run by a container runtime, see --help\n`)
    return USAGE
  }
  const { output, exitCode } = await runPlugin({
    environment: process.env,
    read: () => text(process.stdin),
    connect: (socket) => socketClient(socket, ANSWER_TIMEOUT_MS),
  })
  process.stdout.write(output)
  return exitCode
}
