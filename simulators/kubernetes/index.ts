import { CallLedger } from '../kit/calls.ts'
import { systemClock } from '../kit/clock.ts'
import type { Clock } from '../kit/clock.ts'
import { withControl } from '../kit/control.ts'
import { FaultScript } from '../kit/faults.ts'
import type { FaultRule } from '../kit/faults.ts'
import { serve } from '../kit/http.ts'
import type { Router, Server } from '../kit/http.ts'
import { InputReader } from '../kit/input.ts'
import { seededRandom } from '../kit/random.ts'
import type { Random } from '../kit/random.ts'
import { Cluster, parseSnapshot } from './cluster.ts'
import type { JSONObject, JSONValue } from './json.ts'
import { kubeconfig } from './kubeconfig.ts'
import { readCRDManifests } from './manifests.ts'
import { apiServer } from './server.ts'

/** A simulated Kubernetes API server: the real REST wire, in process or over HTTP. */

export type { JSONObject, JSONValue } from './json.ts'
export * from './cilium-agent/index.ts'
export * from './pod-scheduler/index.ts'

export interface KubernetesSimulatorOptions {
  /** Real time by default. */
  readonly clock?: Clock
  /** Seed of uids, generated names, fault chances and watch timeouts; 1 by default. */
  readonly seed?: number
  /** CustomResourceDefinitions and other manifests, parsed; by default those of `deploy/crds`. */
  readonly manifests?: readonly JSONObject[]
  /** Events kept for each resource, which is how far back watches and chunked lists may reach (count); 10,000 by default. */
  readonly historySize?: number
  /** Time between bookmarks of a watch (ms); 60,000 by default, as on the real server. */
  readonly bookmarkIntervalMs?: number
  /** Added to every call about resources (ms); 0 by default. */
  readonly latencyMs?: number
  readonly faults?: readonly FaultRule[]
  /** Bearer tokens that are accepted; any request is by default. */
  readonly tokens?: readonly string[]
  /** How long a deleted pod on a node stays with its deletionTimestamp (ms); 1,000 by default, 0 removes it at once. */
  readonly podTerminationMs?: number
}

export interface KubernetesSimulator {
  /** The wire in process: the API and the control paths. */
  readonly router: Router
  /** Who called what; also behind `/_berth/calls`. */
  readonly calls: CallLedger
  /** Also behind `/_berth/faults`. Actions are `patch ciliumnodes/status`, `watch *`; rules can match `name`, `namespace`, `userAgent`. */
  readonly faults: FaultScript
  /** @returns once it listens; rejects with code EADDRINUSE naming host and port when the port is taken */
  listen(address: { readonly host: string; readonly port: number }): Promise<Server>
  /** A kubeconfig for a server that listens at this URL, as YAML. */
  kubeconfig(url: string): string
  /**
   * Stores objects as they are, status included, without counting as calls. Watches see them.
   *
   * @returns how many (count)
   * @throws InputError naming every object that is not accepted
   */
  load(objects: readonly JSONValue[]): number
  /** Objects of each resource that has any (count), by `plural.group`. */
  counts(): Readonly<Record<string, number>>
  /** Ends open watches, of one resource (plural) or of all. @returns how many (count) */
  dropWatches(plural: string | undefined, how: WatchEnd): number
  /** Forgets the history: watches and lists from an older resourceVersion are answered 410. Open watches stay. */
  compact(): void
  /** Ends watches and waits; servers from `listen` are closed by their own `close`. */
  close(): void
}

/** Cleanly, by cutting the connection, or with 410 as an ERROR event. */
export type WatchEnd = 'clean' | 'cut' | 'expired'

const DEFAULT_HISTORY_SIZE = 10_000
const DEFAULT_BOOKMARK_INTERVAL_MS = 60_000
const DEFAULT_POD_TERMINATION_MS = 1_000

export function createKubernetesSimulator(options: KubernetesSimulatorOptions = {}): KubernetesSimulator {
  const clock = options.clock ?? systemClock
  const historySize = options.historySize ?? DEFAULT_HISTORY_SIZE
  const manifests = options.manifests ?? readCRDManifests()
  const random: Random = seededRandom(options.seed ?? 1)
  // A stream of its own: whether a fault strikes must not depend on how many objects were created.
  const faults = new FaultScript(seededRandom((options.seed ?? 1) + 1), options.faults ?? [])
  const calls = new CallLedger()
  const podTerminationMs = options.podTerminationMs ?? DEFAULT_POD_TERMINATION_MS
  const world = { clock, random, historySize, podTerminationMs }
  let cluster = new Cluster({ ...world, manifests })

  /** The counter never goes back, so that what clients remember of the old world is answered 410 and they list anew. */
  const replace = (next: (resourceVersion: number) => Cluster, atLeast: number): void => {
    const fresh = next(Math.max(cluster.registry.resourceVersion, atLeast) + 1)
    cluster.close('expired')
    cluster = fresh
  }

  const api = apiServer({
    cluster: () => cluster,
    clock,
    random,
    faults,
    calls,
    watchSettings: {
      clock,
      bookmarkIntervalMs: options.bookmarkIntervalMs ?? DEFAULT_BOOKMARK_INTERVAL_MS,
      maxPendingEvents: historySize,
    },
    latencyMs: options.latencyMs ?? 0,
    tokens: options.tokens,
  })

  const router = withControl(api, {
    name: 'kubernetes',
    clock,
    calls,
    faults,
    health: () => ({
      resourceVersion: cluster.registry.resourceVersion,
      watches: cluster.watchCount,
      objects: cluster.counts(),
    }),
    reset() {
      replace((resourceVersion) => new Cluster({ ...world, manifests }, resourceVersion), 0)
      faults.clear()
      calls.clear()
    },
    snapshot: () => cluster.snapshot(),
    load(value) {
      const snapshot = parseSnapshot(value)
      replace((resourceVersion) => {
        const loaded = new Cluster({ ...world, manifests: [] }, resourceVersion)
        loaded.load(snapshot.objects)
        return loaded
      }, snapshot.resourceVersion)
    },
    doors: {
      'POST /_berth/state/objects': (body) => ({ stored: cluster.load(objectsOf(body)) }),
      'POST /_berth/watches/drop': (body) => {
        const { resource, how } = dropRequest(body)
        return { dropped: cluster.dropWatches(resource, how) }
      },
      'POST /_berth/compact': () => cluster.compact(),
    },
  })

  return {
    router,
    calls,
    faults,
    listen: (address) => serve(router, address),
    kubeconfig: (url) => kubeconfig(url, options.tokens?.[0]),
    load: (objects) => cluster.load(objects),
    counts: () => cluster.counts(),
    dropWatches: (plural, how) => cluster.dropWatches(plural, how),
    compact: () => cluster.compact(),
    close: () => cluster.close('clean'),
  }
}

/** The body of a bulk creation: a list, or `{"objects": [...]}`, or a Kubernetes List with `items`. */
function objectsOf(body: unknown): readonly JSONValue[] {
  if (Array.isArray(body)) return body as JSONValue[]
  const reader = new InputReader('objects')
  const fields = reader.object(body, 'body', ['objects', 'items', 'kind', 'apiVersion', 'metadata'])
  const objects = reader.array(fields['objects'] ?? fields['items'], 'objects')
  reader.finish()
  return objects as JSONValue[]
}

function dropRequest(body: unknown): { readonly resource: string | undefined; readonly how: WatchEnd } {
  const reader = new InputReader('watches')
  const fields = reader.object(body, 'body', ['resource', 'how'])
  const resource = fields['resource'] === undefined ? undefined : reader.string(fields['resource'], 'resource')
  const how =
    fields['how'] === undefined ? 'cut' : reader.oneOf(fields['how'], 'how', ['clean', 'cut', 'expired'] as const)
  reader.finish()
  return { resource, how: how ?? 'cut' }
}
