import { fault } from '../errors.ts'

/** Tokens remembered (count). The service keeps them for about a day; older ones are forgotten here first come, first gone. */
const MAX_TOKENS = 10_000

/** Answers to calls with a client token, so that the same call twice changes things once. */
export class IdempotencyStore {
  readonly #answers = new Map<string, { readonly request: string; readonly answer: () => unknown }>()

  /**
   * Runs `change` once for a token, and answers later calls with what it made.
   *
   * @param request everything else in the call, as a text; must be the same again
   * @param change makes the change and returns how to describe it
   * @throws EC2Error IdempotentParameterMismatch
   */
  once<T>(action: string, token: string | undefined, request: string, change: () => () => T): T {
    if (token === undefined) return change()()
    const key = `${action} ${token}`
    const known = this.#answers.get(key)
    if (known !== undefined) {
      if (known.request !== request) throw fault('IdempotentParameterMismatch')
      return known.answer() as T
    }
    const answer = change()
    if (this.#answers.size >= MAX_TOKENS) {
      for (const oldest of this.#answers.keys()) {
        this.#answers.delete(oldest)
        break
      }
    }
    this.#answers.set(key, { request, answer })
    return answer()
  }
}
