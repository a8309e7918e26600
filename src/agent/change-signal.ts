/** Wakes those who wait for something to change. Costs nothing while nobody does. */
export class ChangeSignal {
  #change: PromiseWithResolvers<void> | undefined

  notify(): void {
    this.#change?.resolve()
    this.#change = undefined
  }

  /** Resolves with the next `notify`. @throws the signal's reason */
  next(signal: AbortSignal): Promise<void> {
    const change = (this.#change ??= Promise.withResolvers<void>())
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error)
      if (signal.aborted) onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      void change.promise.then(() => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
    })
  }
}
