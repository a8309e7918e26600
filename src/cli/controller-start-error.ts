/** The controller cannot begin its work. The message names the thing and what to do; it needs no stack. */
export class StartError extends Error {
  override readonly name = 'StartError'
}
