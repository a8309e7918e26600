/** @source signal(7): 128 + 2, what a shell reports for a process ended by SIGINT */
const INTERRUPTED = 130

export interface Interruption {
  /** Resolves with the first SIGINT, SIGTERM or SIGHUP (unless that means another thing), and when nobody reads the output any more. */
  readonly promise: Promise<void>
  /** Signals have their usual effect again. */
  release(): void
}

/** Ctrl-C, a supervisor, a terminal that is closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * The first signal asks for an end in order; a second one ends the process at once.
 *
 * @param onHangup called for each SIGHUP, which then ends nothing: as daemons read their configuration again
 */
export function interruption(onHangup?: () => void): Interruption {
  const { promise, resolve } = Promise.withResolvers<void>()
  let isFirst = true
  const onSignal = (): void => {
    if (!isFirst) process.exit(INTERRUPTED)
    isFirst = false
    resolve()
  }
  const onClosedOutput = (): void => resolve()
  const listeners = SIGNALS.map((signal) => {
    const listener = signal === 'SIGHUP' && onHangup !== undefined ? onHangup : onSignal
    process.on(signal, listener)
    return [signal, listener] as const
  })
  process.stdout.on('error', onClosedOutput)
  process.stderr.on('error', onClosedOutput)
  return {
    promise,
    release() {
      for (const [signal, listener] of listeners) process.off(signal, listener)
    },
  }
}
