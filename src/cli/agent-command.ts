import process from 'node:process'
import { EndpointError } from '../agent/api-server.ts'
import { AggregateIPAMError, IPAMError } from '../agent/errors.ts'
import { JournalWriteError, StateFileError } from '../agent/journal-errors.ts'
import { ClusterAccessError, findClusterAccess } from '../kubernetes/cluster-access.ts'
import { httpsTransport } from '../kubernetes/https-transport.ts'
import { systemClock } from '../runtime/clock.ts'
import { systemRandom } from '../runtime/random.ts'
import { createLogger } from '../telemetry/logger.ts'
import { ListenError } from '../telemetry/server.ts'
import { needsAPIServer } from './agent-addresses.ts'
import { agentHelp, readAgentOptions } from './agent-options.ts'
import type { AgentSettings } from './agent-options.ts'
import type { AgentHandle } from './agent.ts'
import { startAgent } from './agent.ts'
import { UsageError } from './command-options.ts'
import { metadataReader } from './controller-metadata.ts'
import { interruption } from './interruption.ts'
import { programVersion } from './version.ts'

const OK = 0
const FAILED = 1
const USAGE = 2

/**
 * `berth agent`: the node's half in this process.
 *
 * @param args what follows `agent` on the command line
 * @returns the exit code: 0 stopped by a signal, 1 failed, 2 wrong usage
 */
export async function runAgent(args: readonly string[]): Promise<number> {
  const interrupted = interruption()
  try {
    const settings = readAgentOptions(args, process.env)
    if (settings === 'help') {
      process.stdout.write(agentHelp())
      return OK
    }
    const agent = await start(settings)
    const end = await Promise.race([interrupted.promise, agent.ended])
    if (end instanceof Error) return explain(end)
    await agent.stop()
    return OK
  } catch (error) {
    return explain(error)
  } finally {
    interrupted.release()
  }
}

async function start(settings: AgentSettings): Promise<AgentHandle> {
  const clock = systemClock()
  const log = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY, clock })
  log.info({ version: programVersion() }, 'Starting')
  const access = needsAPIServer(settings)
    ? await findClusterAccess({
        kubeconfigPath: settings.kubeconfig ?? '',
        apiServer: settings.k8sApiServer ?? '',
        environment: process.env,
      })
    : undefined
  const transport = access === undefined ? undefined : httpsTransport(access, clock)
  const readMetadata = metadataReader({
    clock,
    endpoint: process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? '',
    isDisabled: process.env['AWS_EC2_METADATA_DISABLED'] === 'true',
    fetch,
  })
  return startAgent({ settings, transport, readMetadata, pid: process.pid, log, clock, random: systemRandom })
}

/** What the operator can mend is said in one line; anything else keeps its stack. */
function explain(error: unknown): number {
  if (error instanceof UsageError || error instanceof ClusterAccessError) {
    complain(error.message)
    return USAGE
  }
  const isPlain =
    error instanceof StateFileError ||
    error instanceof JournalWriteError ||
    error instanceof EndpointError ||
    error instanceof IPAMError ||
    error instanceof AggregateIPAMError
  if (isPlain) complain(error.message)
  else if (error instanceof ListenError) complain(listenProblem(error))
  else complain(error instanceof Error ? (error.stack ?? error.message) : String(error))
  return FAILED
}

/** The telemetry server names the controller's option. */
function listenProblem({ message }: ListenError): string {
  return message.replace('--operator-prometheus-serve-addr', '--prometheus-serve-addr')
}

function complain(message: string): void {
  process.stderr.write(`berth agent: ${message}\n`)
}
