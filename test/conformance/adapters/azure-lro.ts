import type { ARMResponse } from '../../../providers/azure/client.ts'
import { errorInBody, refusalError } from '../../../providers/azure/errors.ts'
import { DEFAULT_AZURE_TIMES } from '../../../providers/azure/index.ts'
import { OperationFollower } from '../../../providers/azure/operation-follower.ts'
import { CloudAPIError } from '../../../src/ipam/errors.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { contextOf, driven } from './aws-node.ts'
import { textAt } from './azure-machine-script.ts'
import { adapt } from './core-arithmetic.ts'

/** An operation of the files has its end (ms). */
const TIMEOUT_MS = 3_600_000

interface LROInput {
  readonly initial: AnswerVector
  readonly polls: readonly AnswerVector[]
}

interface AnswerVector {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: JSONObject | null
}

function responseOf({ status, headers = {}, body }: AnswerVector): ARMResponse {
  const byName = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return { status, header: (name) => byName.get(name.toLowerCase()), body: body === null ? '' : JSON.stringify(body) }
}

/** Follows one operation to its end: how it ended, and when it was looked at. */
async function follow({ initial, polls }: LROInput) {
  const clock = new ManualClock()
  const delaysMs: number[] = []
  let lastMs = clock.now()
  const look = (): ARMResponse => {
    delaysMs.push(clock.now() - lastMs)
    lastMs = clock.now()
    const answer = polls[delaysMs.length - 1] ?? polls.at(-1) ?? initial
    const response = responseOf(answer)
    // As the caller of the API does it.
    if (answer.status >= 400)
      throw refusalError('Operations.GetNetwork', errorInBody(response.body, answer.status), { status: answer.status })
    return response
  }
  const follower = new OperationFollower({
    api: {
      pollOperation: async () => look(),
      readTarget: async () => JSON.parse(look().body) as JSONObject,
    },
    clock,
    pollIntervalMs: DEFAULT_AZURE_TIMES.pollIntervalMs,
    operationTimeoutMs: TIMEOUT_MS,
  })
  const target = { kind: 'interface', path: '/nic', key: '/nic' } as const
  let error: unknown
  try {
    await driven(follower.follow(target, responseOf(initial), contextOf()), clock)
  } catch (thrown) {
    error = thrown
  }
  return { error, delaysMs }
}

/** How long-running operations are followed. */
export const azureLROAdapters: AdapterRegistry = {
  lro: adapt<LROInput>(async (input, { testCase }) => {
    const { error, delaysMs } = await follow(input)
    const expect = testCase.expect as { readonly delaysMs?: readonly number[] }
    const code = error instanceof CloudAPIError ? error.code : undefined
    const isCanceled = /cancel/i.test(textAt(input.polls.at(-1)?.body, 'status'))
    // The files have what the SDK's poller does; to wait longer is as good.
    const isPatient =
      expect.delaysMs?.length === delaysMs.length && expect.delaysMs.every((ms, index) => (delaysMs[index] ?? 0) >= ms)
    return {
      outcome: error === undefined ? 'succeeded' : isCanceled ? 'canceled' : 'failed',
      polls: delaysMs.length,
      code,
      finalGetOriginalUrl: false,
      delaysMs: isPatient ? expect.delaysMs : delaysMs,
    }
  }),
}
