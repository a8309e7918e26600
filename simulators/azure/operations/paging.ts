import { fault } from '../errors.ts'
import { ok } from '../operation.ts'
import type { Answer, Call } from '../operation.ts'

const TOKEN = '$skipToken'
const TOKEN_FORM = /^page:(\d{1,9})$/

/**
 * One page of a list and the link to the next one. The link holds how far the list was read, so that entries may come twice or not
 * at all when it changes meanwhile, as with the service.
 *
 * @param render JSON text of an item
 * @throws ARMError InvalidParameter for a token that this simulator did not make
 */
export function page<T>(call: Call, items: readonly T[], render: (item: T) => string): Answer {
  const from = offsetOf(call.query.get(TOKEN))
  const to = from + call.cloud.settings.pageSize
  const value = `"value":[${items.slice(from, to).map(render).join(',')}]`
  if (to >= items.length) return ok(`{${value}}`)
  const query = new URLSearchParams(call.query)
  query.set(TOKEN, Buffer.from(`page:${to}`).toString('base64url'))
  return ok(`{${value},"nextLink":${JSON.stringify(`${call.baseURL}${call.rawPath}?${query.toString()}`)}}`)
}

function offsetOf(token: string | null): number {
  if (token === null) return 0
  const offset = TOKEN_FORM.exec(Buffer.from(token, 'base64url').toString('utf8'))?.[1]
  if (offset === undefined) throw fault('InvalidParameter', `The ${TOKEN} '${token}' is not of this list.`)
  return Number(offset)
}
