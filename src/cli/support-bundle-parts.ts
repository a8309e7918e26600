import { causeText } from '../kubernetes/client.ts'
import { KubernetesAPIError } from '../kubernetes/errors.ts'
import { withDeadline } from '../kubernetes/deadline.ts'
import { CILIUM_NODES_PATH } from '../kubernetes/paths.ts'
import type { KubernetesTransport } from '../kubernetes/transport.ts'
import { readText } from '../kubernetes/transport.ts'
import type { Clock } from '../runtime/clock.ts'
import { plainWords } from './plain-words.ts'

/** How long one part may take (ms). */
const PART_TIMEOUT_MS = 20_000
/** Lines of each pod's log (count). */
const LOG_LINES = 5_000
/** CiliumNodes of a page (count), and pages that are taken at most: a bundle is for reading. */
const PAGE_SIZE = 100
const MAX_PAGES = 20

const LABEL_SELECTOR = encodeURIComponent('app.kubernetes.io/name=berth-controller')

/** What one part of a bundle came to. */
export type Part =
  | { readonly path: string; readonly text: string }
  | { readonly path: string; readonly missing: string }

/** Fetches a text. @throws Error when there is none */
export type Fetch = (path: string, signal: AbortSignal) => Promise<string>

/** What the controller's own port shows. */
export const CONTROLLER_PARTS: readonly (readonly [file: string, path: string])[] = [
  ['controller/config.json', '/v1/config'],
  ['controller/metrics.txt', '/metrics'],
  ['controller/healthz.txt', '/healthz'],
  ['controller/readyz.txt', '/readyz'],
  ['controller/dry-run.json', '/v1/dry-run'],
]

/** What the API server has about the controller, as far as the permissions go. Never Secrets. */
export function clusterParts(namespace: string): readonly (readonly [file: string, path: string])[] {
  const own = `/api/v1/namespaces/${namespace}`
  return [
    ['cluster/version.json', '/version'],
    ['cluster/deployments.json', `/apis/apps/v1/namespaces/${namespace}/deployments?labelSelector=${LABEL_SELECTOR}`],
    ['cluster/pods.json', `${own}/pods?labelSelector=${LABEL_SELECTOR}`],
    ['cluster/configmap.json', `${own}/configmaps/berth-controller`],
    ['cluster/lease.json', `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/berth-controller`],
    ['cluster/events.json', `${own}/events?limit=500`],
    ['cluster/ciliumpodippools.json', '/apis/cilium.io/v2alpha1/ciliumpodippools?limit=500'],
  ]
}

/** Each part by itself: what cannot be had is named with its reason, and the others are taken all the same. */
export async function collectParts(
  wanted: readonly (readonly [file: string, path: string])[],
  fetch: Fetch,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Part[]> {
  const parts: Part[] = []
  for (const [path, source] of wanted) parts.push(await part(path, (limited) => fetch(source, limited), clock, signal))
  return parts
}

/** The end of each replica's log. @param podsJSON the list of the controller's pods, as fetched */
export function logParts(namespace: string, podsJSON: string): readonly (readonly [file: string, path: string])[] {
  return podNames(podsJSON).map((name) => [
    `logs/${name}.txt`,
    `/api/v1/namespaces/${namespace}/pods/${name}/log?container=controller&tailLines=${LOG_LINES}&timestamps=true`,
  ])
}

/** Every CiliumNode, one JSON object a line, up to a bound. */
export async function ciliumNodeLines(fetch: Fetch, signal: AbortSignal): Promise<string> {
  const lines: string[] = []
  let next: string | undefined = ''
  for (let page = 0; page < MAX_PAGES && next !== undefined; page++) {
    const after: string = next === '' ? '' : `&continue=${encodeURIComponent(next)}`
    const list = JSON.parse(await fetch(`${CILIUM_NODES_PATH}?limit=${PAGE_SIZE}${after}`, signal)) as {
      readonly items?: readonly object[]
      readonly metadata?: { readonly continue?: string }
    }
    lines.push(...(list.items ?? []).map((item) => JSON.stringify(item)))
    next = list.metadata?.continue === '' ? undefined : list.metadata?.continue
  }
  if (next !== undefined) lines.push(JSON.stringify({ note: `only the first ${lines.length} are here` }))
  return lines.join('\n')
}

export async function part(
  path: string,
  read: (signal: AbortSignal) => Promise<string>,
  clock: Clock,
  signal: AbortSignal,
): Promise<Part> {
  const timeoutError = (): Error => new Error(`no answer within ${PART_TIMEOUT_MS / 1000} s`)
  try {
    return { path, text: await withDeadline({ clock, ms: PART_TIMEOUT_MS, signal, timeoutError }, read) }
  } catch (error) {
    signal.throwIfAborted()
    const isDenied = error instanceof KubernetesAPIError && error.kind === 'denied'
    const why = plainWords(causeText(error))
    return { path, missing: isDenied ? `no permission: ${why}` : why }
  }
}

/** Reads from an API server as it is, JSON or text. */
export function clusterFetch(transport: KubernetesTransport): Fetch {
  return async (path, signal) => {
    const { status, body } = await transport.request({
      method: 'GET',
      path,
      headers: { accept: 'application/json, */*' },
      signal,
    })
    const text = await readText(body)
    if (status === 401 || status === 403) throw new Error(`no permission (status ${status})`)
    if (status >= 300) throw new Error(`status ${status}`)
    return text
  }
}

function podNames(podsJSON: string): readonly string[] {
  try {
    const list = JSON.parse(podsJSON) as {
      readonly items?: readonly { readonly metadata?: { readonly name?: string } }[]
    }
    return (list.items ?? []).flatMap(({ metadata }) => metadata?.name ?? []).sort()
  } catch {
    return []
  }
}
