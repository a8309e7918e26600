import type { Logger } from '../ipam/contracts.ts'
import {
  ALLOCATE_FAILURES,
  ALLOCATE_IP_FAILURES,
  ATTACHMENT_FAILURES,
  KEEP_FAILURES,
  refusalOf,
  RELEASE_FAILURES,
} from './api-errors.ts'
import type { FailureStatuses } from './api-errors.ts'
import type { NodeAddressing } from './api-shapes.ts'
import { ERROR_CODE_HEADER, toIPAMResponse, toIPAMStatus } from './api-shapes.ts'
import type { DaemonCore } from './daemon-core.ts'

export interface APIRequest {
  readonly method: string
  /** With the query, as it came. */
  readonly target: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal
}

export interface APIResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Whether the agent can serve, and what it waits for if not. */
export interface Health {
  readonly ok: boolean
  readonly reasons: readonly string[]
}

export interface APIRouterOptions {
  /** @throws DaemonError NOT_READY while there is none */
  readonly core: () => DaemonCore
  /** How long a requested expiration lasts (ms). */
  readonly expirationMs: number
  readonly health: () => Health
  readonly hostAddressing: () => NodeAddressing
  /** Metrics in the exposition format, with its content type. */
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>
  readonly log: Logger
}

/** The longest that a request may wait for an address (ms), whatever it asks for. */
const LONGEST_WAIT_MS = 60_000

interface Call {
  readonly request: APIRequest
  readonly query: URLSearchParams
  /** What stands for the names in braces of the route's path. */
  readonly names: readonly string[]
}

interface Route {
  readonly method: string
  /** Segments; `*` takes any one, `:` any one that is a single name. */
  readonly path: readonly string[]
  readonly failures: FailureStatuses
  answer(call: Call): Promise<APIResponse>
}

/**
 * The paths of the reference's IPAM API, and our own beside them (docs/decisions/0012-node-daemon.md):
 *
 * - `POST /v1/ipam?family&owner&pool`, header `expiration`; `POST /v1/ipam/{ip}?owner&pool`; `DELETE /v1/ipam/{ip or owner}?pool`
 * - `GET /v1/ipam`: who holds what; `DELETE /v1/ipam/{ip}/expiration?expiration-uuid&pool`: the address is in use
 * - `PUT`, `GET`, `DELETE /v1/attachment/{network}/{containerID}/{ifname}?family&owner&pool&wait-ms`, and
 *   `POST /v1/attachment/{network}` with the attachments that are valid: what a CNI plug-in needs, each safe to repeat
 * - `GET /healthz`, `/v1/healthz`, `/metrics`
 *
 * @source cilium api/v1/openapi.yaml; daemon/cmd/ipam.go
 */
export function createRouter(options: APIRouterOptions): (request: APIRequest) => Promise<APIResponse> {
  const routes = routesOf(options)
  return async (request) => {
    const { segments, query } = parsed(request.target)
    const matching = routes.filter(({ path }) => matches(path, segments))
    if (matching.length === 0) return json(404, `no such path: ${request.target}`)
    const route = matching.find(({ method }) => method === request.method)
    if (route === undefined) {
      const allow = matching.map(({ method }) => method).join(', ')
      return { ...json(405, `only ${allow}`), headers: { 'content-type': JSON_TYPE, allow } }
    }
    const names = segments.filter((_, index) => route.path[index] === '*' || route.path[index] === ':')
    try {
      return await route.answer({ request, query, names })
    } catch (error) {
      if (request.signal.aborted) return empty(503) // nobody reads it
      const { status, code, message } = refusalOf(error, route.failures)
      if (code === '') options.log.error({ path: request.target, error }, 'A request failed through a defect')
      else options.log.info({ path: request.target, status, error }, 'Refused a request')
      return { ...json(status, message), headers: { 'content-type': JSON_TYPE, [ERROR_CODE_HEADER]: code } }
    }
  }
}

function routesOf({ core, expirationMs, health, hostAddressing, metrics }: APIRouterOptions): readonly Route[] {
  const route = (method: string, path: string, failures: FailureStatuses, answer: Route['answer']): Route => ({
    method,
    path: path.split('/').slice(1),
    failures,
    answer,
  })
  const answerHealth = (): Promise<APIResponse> => {
    const { ok, reasons } = health()
    return Promise.resolve(json(ok ? 200 : 503, { ok, reasons }))
  }
  return [
    route('POST', '/v1/ipam', ALLOCATE_FAILURES, async ({ query, request }) => {
      const isExpiring = isTrue(request.headers['expiration'])
      const pair = await core().allocate({
        ...requestedIn(query),
        expirationMs: isExpiring ? expirationMs : 0,
        waitMs: waitOf(query),
        signal: request.signal,
      })
      return json(201, toIPAMResponse(pair, hostAddressing()))
    }),
    // oxlint-disable-next-line typescript/require-await -- a refusal must be a rejection
    route('GET', '/v1/ipam', ALLOCATE_FAILURES, async () => {
      const dump = core().dump()
      return json(200, toIPAMStatus(dump, dump.unbacked))
    }),
    route('POST', '/v1/ipam/*', ALLOCATE_IP_FAILURES, async ({ query, names: [ip = ''] }) => {
      const { owner, pool } = requestedIn(query)
      await core().allocateIP(ip, owner, pool)
      return empty(200)
    }),
    route('DELETE', '/v1/ipam/*', RELEASE_FAILURES, async ({ query, names: [arg = ''] }) => {
      await core().release(arg, query.get('pool') ?? '')
      return empty(200)
    }),
    route('DELETE', '/v1/ipam/*/expiration', KEEP_FAILURES, async ({ query, names: [ip = ''] }) => {
      await core().keep(ip, query.get('expiration-uuid') ?? '', query.get('pool') ?? '')
      return empty(200)
    }),
    route('PUT', '/v1/attachment/:/:/:', ATTACHMENT_FAILURES, async ({ query, names, request }) => {
      const wanted = {
        ...requestedIn(query),
        attachment: names.join('/'),
        waitMs: waitOf(query),
        signal: request.signal,
      }
      return json(201, toIPAMResponse(await core().allocate(wanted), hostAddressing()))
    }),
    route('GET', '/v1/attachment/:/:/:', ATTACHMENT_FAILURES, async ({ names }) =>
      json(200, toIPAMResponse(await core().attachment(names.join('/')), hostAddressing())),
    ),
    route('DELETE', '/v1/attachment/:/:/:', ATTACHMENT_FAILURES, async ({ names }) => {
      await core().releaseAttachment(names.join('/'))
      return empty(200)
    }),
    route('POST', '/v1/attachment/:', ATTACHMENT_FAILURES, async ({ request, names: [network = ''] }) => {
      const valid = validAttachments(request.body, network)
      if (valid === undefined) return json(400, 'expected {"valid": [{"containerID": "…", "ifname": "…"}]}')
      return json(200, { released: await core().releaseOthers(network, valid) })
    }),
    route('GET', '/healthz', ALLOCATE_FAILURES, answerHealth),
    route('GET', '/v1/healthz', ALLOCATE_FAILURES, answerHealth),
    route('GET', '/metrics', ALLOCATE_FAILURES, async () => {
      const { text, contentType } = await metrics()
      return { status: 200, headers: { 'content-type': contentType }, body: text }
    }),
  ]
}

/** Segments with `%` encodings undone: an owner has a slash in its name. */
function parsed(target: string): { readonly segments: readonly string[]; readonly query: URLSearchParams } {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1))
  try {
    return { segments: path.split('/').slice(1).map(decodeURIComponent), query }
  } catch {
    return { segments: [], query } // a `%` that encodes nothing: matches no path
  }
}

function matches(path: readonly string[], segments: readonly string[]): boolean {
  return (
    path.length === segments.length &&
    path.every((part, index) => {
      const segment = segments[index] ?? ''
      if (part === '*') return segment !== ''
      return part === ':' ? segment !== '' && !segment.includes('/') : part === segment
    })
  )
}

function requestedIn(query: URLSearchParams): {
  readonly family: string
  readonly owner: string
  readonly pool: string
} {
  return { family: query.get('family') ?? '', owner: query.get('owner') ?? '', pool: query.get('pool') ?? '' }
}

function waitOf(query: URLSearchParams): number {
  const waitMs = Number(query.get('wait-ms') ?? 0)
  return Number.isFinite(waitMs) ? Math.min(Math.max(waitMs, 0), LONGEST_WAIT_MS) : 0
}

/** @source go-openapi/swag, ConvertBool: what the reference's server takes for true */
function isTrue(text = ''): boolean {
  return ['true', '1', 'yes', 'ok', 'y', 'on', 'selected', 'checked', 't', 'enabled'].includes(text.toLowerCase())
}

function validAttachments(body: string, network: string): ReadonlySet<string> | undefined {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return undefined
  }
  const list = typeof value === 'object' && value !== null && 'valid' in value ? value.valid : undefined
  if (!Array.isArray(list)) return undefined
  const names = list.map((entry: unknown) => {
    const { containerID, ifname } = (entry ?? {}) as { readonly containerID?: unknown; readonly ifname?: unknown }
    return typeof containerID === 'string' && typeof ifname === 'string'
      ? `${network}/${containerID}/${ifname}`
      : undefined
  })
  const known = names.filter((name) => name !== undefined)
  // One that cannot be read would be taken for gone.
  return known.length === names.length ? new Set(known) : undefined
}

const JSON_TYPE = 'application/json'

function json(status: number, value: unknown): APIResponse {
  return { status, headers: { 'content-type': JSON_TYPE }, body: `${JSON.stringify(value)}\n` }
}

function empty(status: number): APIResponse {
  return { status, headers: {}, body: '' }
}
