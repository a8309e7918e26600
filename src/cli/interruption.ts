/** @source signal(7): 128 + 2, what a shell reports for a process ended by SIGINT */
const INTERRUPTED = 130

export interface Interruption {
  /** Resolves with the first SIGINT or SIGTERM. */
  readonly promise: Promise<void>
  /** Signals have their usual effect again. */
  release(): void
}

/** The first SIGINT or SIGTERM asks for an end in order; a second one ends the process at once. */
export function interruption(): Interruption {
  const { promise, resolve } = Promise.withResolvers<void>()
  let isFirst = true
  const onSignal = (): void => {
    if (!isFirst) process.exit(INTERRUPTED)
    isFirst = false
    resolve()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    promise,
    release() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}
