import { hostname } from 'node:os'
import process from 'node:process'
import type { AuditFile } from '../audit/audit-file.ts'
import { openAuditFile } from '../audit/audit-file.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import type { LoadedConfig } from '../config/load.ts'
import { ConfigError } from '../ipam/errors.ts'
import type { ClusterAccess } from '../kubernetes/cluster-access.ts'
import { ClusterAccessError, findClusterAccess } from '../kubernetes/cluster-access.ts'
import { httpsTransport } from '../kubernetes/https-transport.ts'
import type { Clock } from '../runtime/clock.ts'
import { systemClock } from '../runtime/clock.ts'
import { systemRandom } from '../runtime/random.ts'
import type { LeveledLogger } from '../telemetry/logger.ts'
import { createLogger } from '../telemetry/logger.ts'
import { ListenError } from '../telemetry/server.ts'
import { ConfigReloader } from './config-reloader.ts'
import type { ControllerHandle } from './controller.ts'
import type { AzureAccess } from './controller-azure.ts'
import { refuseUnserved, startController } from './controller.ts'
import { controllerHelp } from './controller-help.ts'
import { azureMetadata, instanceMetadata } from './controller-metadata.ts'
import { StartError } from './controller-start-error.ts'
import { interruption } from './interruption.ts'
import { programVersion } from './version.ts'

const OK = 0
const FAILED = 1
const USAGE = 2

/** Where the Lease lives when neither a flag nor the kubeconfig says. @source Cilium's own default namespace */
const DEFAULT_NAMESPACE = 'kube-system'

/**
 * `berth controller`: the controller of this process. Signals, the environment and the exit code are handled here and nowhere else.
 *
 * @param args what follows `controller` on the command line
 * @returns the exit code: 0 stopped by a signal, 1 failed or lost the lease, 2 wrong configuration
 */
export async function runController(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(controllerHelp())
    return OK
  }
  let reload = (): void => undefined
  const interrupted = interruption(() => reload())
  const over = new AbortController()
  let audit: AuditFile | undefined
  try {
    const loaded = loadConfig(args, process.env)
    audit = openAudit(loaded.config)
    const started = await start(loaded, audit)
    const reloader = reloaderOf(started, loaded, args)
    reload = () => {
      reopenAudit(audit, started.log)
      reloader.reload('SIGHUP')
    }
    void reloader.run(over.signal)
    const { controller } = started
    const end = await Promise.race([interrupted.promise, controller.ended])
    if (end instanceof Error) {
      complain(end.message)
      return FAILED
    }
    await controller.stop()
    if (loaded.config.dryRun) process.stdout.write(`${JSON.stringify(controller.dryRunReport)}\n`)
    return OK
  } catch (error) {
    return explain(error)
  } finally {
    over.abort(new Error('the controller has ended'))
    audit?.close()
    interrupted.release()
  }
}

/** Options that change on the way reach the controller and the log. */
function reloaderOf(
  { controller, log, clock }: Started,
  started: LoadedConfig,
  args: readonly string[],
): ConfigReloader {
  return new ConfigReloader({
    started,
    load: () => loadConfig(args, process.env),
    apply(config) {
      controller.reconfigure(config)
      log.level = config.logLevel
    },
    clock,
    log,
  })
}

interface Started {
  readonly controller: ControllerHandle
  readonly log: LeveledLogger
  readonly clock: Clock
}

async function start({ config, warnings }: LoadedConfig, audit: AuditFile | undefined): Promise<Started> {
  refuseUnserved(config)
  const clock = systemClock()
  const random = systemRandom
  const log = createLogger({ level: config.telemetry.logLevel, pretty: process.stderr.isTTY, clock })
  log.info({ version: programVersion() }, 'Starting')
  for (const warning of warnings) log.warn({ reason: warning }, 'An option has no effect')
  const access = await findClusterAccess({
    kubeconfigPath: config.kubernetes.kubeconfigPath,
    apiServer: config.kubernetes.apiServer,
    environment: process.env,
  })
  const controller = await startController({
    config,
    ...(audit !== undefined && { writeAudit: (entry) => audit.write(entry) }),
    transport: httpsTransport(access, clock),
    leaseTransport: httpsTransport(access, clock),
    source: access.source,
    namespace: namespaceOf(config, access),
    identity: `${hostname()}_${Math.floor(random.next() * 2 ** 32).toString(36)}`,
    metadata: instanceMetadata({
      clock,
      endpoint: process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? '',
      isDisabled: process.env['AWS_EC2_METADATA_DISABLED'] === 'true',
      fetch,
    }),
    aws: { environment: process.env },
    azure: azureAccess(clock),
    log,
    clock,
    random,
  })
  return { controller, log, clock }
}

/** As the environment has it, by the names that the SDK of identities reads too. */
function azureAccess(clock: Clock): AzureAccess {
  const authorityHost = process.env['AZURE_AUTHORITY_HOST'] ?? ''
  const endpoint = process.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] ?? ''
  return {
    metadata: azureMetadata({ clock, endpoint, fetch }),
    ...(authorityHost !== '' && { authorityHost }),
  }
}

/** @throws ConfigError */
function openAudit({ auditLog, dryRun }: Config): AuditFile | undefined {
  if (auditLog === '' || dryRun) return undefined
  try {
    return openAuditFile(auditLog)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new ConfigError([`--audit-log ${auditLog}: cannot be written: ${message}`])
  }
}

/** After a log rotation. */
function reopenAudit(audit: AuditFile | undefined, log: LeveledLogger): void {
  try {
    audit?.reopen()
  } catch (error) {
    log.error({ error, option: '--audit-log' }, 'The audit log cannot be opened anew, the old file stays in use')
  }
}

function namespaceOf(config: Config, access: ClusterAccess): string {
  if (config.kubernetes.namespace !== '') return config.kubernetes.namespace
  return access.namespace === '' ? DEFAULT_NAMESPACE : access.namespace
}

/** What the operator can mend is said in one line each; anything else keeps its stack. */
function explain(error: unknown): number {
  if (error instanceof ConfigError) {
    for (const fault of error.faults) complain(fault)
    return USAGE
  }
  if (error instanceof ClusterAccessError) {
    complain(error.message)
    return USAGE
  }
  if (error instanceof StartError || error instanceof ListenError) {
    complain(error.message)
    return FAILED
  }
  complain(error instanceof Error ? (error.stack ?? error.message) : String(error))
  return FAILED
}

function complain(message: string): void {
  process.stderr.write(`berth controller: ${message}\n`)
}
