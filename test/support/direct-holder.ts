import type { TokenHolder } from '../../src/budget/token-holder.ts'

/** Lets every admitted call go at once, without timers of its own: for tests on a manual clock that do not test the holder. */
export const directHolder: TokenHolder = { run: (_takings, call) => call() }
