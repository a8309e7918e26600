import type { Config } from '../config/config.ts'
import type { LoadedConfig } from '../config/load.ts'
import { changesForNextStart, fingerprint, reloadableOf } from '../config/reload.ts'
import type { ReloadableConfig } from '../config/reload.ts'
import type { Logger } from '../ipam/contracts.ts'
import { ConfigError } from '../ipam/errors.ts'
import type { Clock } from '../runtime/clock.ts'

/** Between two looks at the files (ms). A kubelet takes up to a minute to bring a changed ConfigMap into a pod. */
export const WATCH_INTERVAL_MS = 5_000

export interface ConfigReloaderOptions {
  /** What the process was started with. */
  readonly started: LoadedConfig
  /** Reads all sources again. @throws ConfigError */
  readonly load: () => LoadedConfig
  /** Puts what may change into effect. @throws ConfigError when it cannot be used: nothing of it is in effect then */
  readonly apply: (config: ReloadableConfig) => void
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Brings changes of the configuration into a running controller: those of log level, budget table and the cluster-wide pause. What is
 * wrong is said and changes nothing; what needs a new start is named.
 */
export class ConfigReloader {
  readonly #options: ConfigReloaderOptions
  #config: Config
  #paths: readonly string[]
  #seen: string

  constructor(options: ConfigReloaderOptions) {
    this.#options = options
    this.#config = options.started.config
    this.#paths = options.started.paths
    this.#seen = fingerprint(this.#paths)
  }

  /** Looks at the files until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#options.clock.sleep(WATCH_INTERVAL_MS, signal)
      } catch {
        return // only the signal ends a sleep early
      }
      if (fingerprint(this.#paths) !== this.#seen) this.reload('a file changed')
    }
  }

  /** Never throws. @param reason a constant phrase, for the log */
  reload(reason: string): void {
    const { load, apply, log } = this.#options
    // Taken before the sources are read: what changes meanwhile is seen by the next look.
    this.#seen = fingerprint(this.#paths)
    try {
      const { config, paths } = load()
      const before = reloadableOf(this.#config)
      const now = reloadableOf(config)
      apply(now)
      const needRestart = changesForNextStart(this.#options.started.config, config)
      this.#config = config
      if (paths.join('\n') !== this.#paths.join('\n')) this.#seen = ''
      this.#paths = paths
      const changed = changedNames(before, now)
      log.info(
        { reason, result: changed.length === 0 ? 'nothing changed' : changed.join(', ') },
        'Read the options again',
      )
      if (needRestart.length > 0) log.warn({ faults: needRestart }, 'Changed options take effect with the next start')
    } catch (error) {
      if (error instanceof ConfigError)
        log.error({ reason, faults: error.faults }, 'The options are wrong, those in effect stay')
      else log.error({ reason, error }, 'The options cannot be read again, those in effect stay')
    }
  }
}

function changedNames(before: ReloadableConfig, now: ReloadableConfig): readonly string[] {
  return (Object.keys(now) as (keyof ReloadableConfig)[]).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]),
  )
}
