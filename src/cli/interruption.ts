/** @source signal(7): 128 + 2, what a shell reports for a process ended by SIGINT */
const INTERRUPTED = 130

export interface Interruption {
  /** Resolves with the first SIGINT, SIGTERM or SIGHUP, and when nobody reads the output any more. */
  readonly promise: Promise<void>
  /** Signals have their usual effect again. */
  release(): void
}

/** Ctrl-C, a supervisor, a terminal that is closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The first signal asks for an end in order; a second one ends the process at once. */
export function interruption(): Interruption {
  const { promise, resolve } = Promise.withResolvers<void>()
  let isFirst = true
  const onSignal = (): void => {
    if (!isFirst) process.exit(INTERRUPTED)
    isFirst = false
    resolve()
  }
  const onClosedOutput = (): void => resolve()
  for (const signal of SIGNALS) process.on(signal, onSignal)
  process.stdout.on('error', onClosedOutput)
  process.stderr.on('error', onClosedOutput)
  return {
    promise,
    release() {
      for (const signal of SIGNALS) process.off(signal, onSignal)
    },
  }
}
