/** Causes below this are left out (count): a chain that long is a loop or a defect. */
const MAX_DEPTH = 8
/** Errors of an `AggregateError` that are shown (count). */
const MAX_ERRORS = 8
/** Longer messages and stacks are cut (characters): an error may quote a whole answer of a server. */
const MAX_TEXT = 4000

/** An error as it appears in a log line. */
export interface ErrorFields {
  /** Name of its class. */
  readonly type: string
  readonly message: string
  /** The cloud's or the operating system's code, our own closed kind, and the action, where the error has them. */
  readonly code?: string | number
  readonly kind?: string
  readonly action?: string
  readonly stack?: string
  readonly cause?: ErrorFields
  /** The members of an `AggregateError`. */
  readonly errors?: readonly ErrorFields[]
}

/**
 * Makes a plain object of whatever was thrown, with its chain of causes. Never throws; bounded in depth and length. Only
 * the fields named here are taken: an SDK's error carries its request, and with it credentials.
 */
export function errorFields(error: unknown): ErrorFields {
  return describe(error, 0)
}

function describe(error: unknown, depth: number): ErrorFields {
  if (!(error instanceof Error)) return { type: typeof error, message: cut(textOf(error)) }
  const { code, kind, action } = error as {
    readonly code?: unknown
    readonly kind?: unknown
    readonly action?: unknown
  }
  const isDeep = depth + 1 >= MAX_DEPTH
  return {
    type: error.name,
    message: cut(error.message),
    ...((typeof code === 'string' && code !== '') || typeof code === 'number' ? { code } : {}),
    ...(typeof kind === 'string' ? { kind } : {}),
    ...(typeof action === 'string' ? { action } : {}),
    ...(error.stack === undefined ? {} : { stack: cut(error.stack) }),
    ...(error.cause === undefined || isDeep ? {} : { cause: describe(error.cause, depth + 1) }),
    ...(error instanceof AggregateError && !isDeep
      ? { errors: error.errors.slice(0, MAX_ERRORS).map((one: unknown) => describe(one, depth + 1)) }
      : {}),
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return Object.prototype.toString.call(value) // a loop, or a toJSON that throws
  }
}

function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${text.length - MAX_TEXT} more characters)`
}
