import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import type { KubeConfig } from '@kubernetes/client-node'
import { parse } from 'yaml'
import { causeText } from './client.ts'

/** What a request needs besides its content, as `KubeConfig` works it out. */
export interface RequestSettings {
  readonly headers: Readonly<Record<string, string>>
  /** `user:password` of basic authentication. */
  readonly auth: string | undefined
  readonly tls: TLSSettings
  /** Only when the cluster is behind a proxy. */
  readonly proxyAgent: object | undefined
}

export interface TLSSettings {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly servername?: string
  readonly rejectUnauthorized?: boolean
}

/** One cluster and one identity in it. */
export interface ClusterAccess {
  /** Base of every URL, without a slash at its end. */
  readonly server: string
  /** The pod's namespace, or the context's; empty when neither is set. */
  readonly namespace: string
  /** Where this comes from, for messages: `kubeconfig /root/.kube/config, context 'prod'`. */
  readonly source: string
  /** Runs an exec plug-in or refreshes a token where due. Throws when credentials cannot be had. */
  settings(): Promise<RequestSettings>
  /** Reads everything again at the next use: after a 401 the files may hold new credentials. */
  invalidate(): void
}

export interface ClusterAccessOptions {
  /**
   * Empty: in-cluster when there is a service account, else `$KUBECONFIG`, else `~/.kube/config`, else without credentials where
   * `apiServer` names a server.
   */
  readonly kubeconfigPath: string
  /** Overrides the server of the kubeconfig; empty: as it says. */
  readonly apiServer: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** There is no way to the API server that could be tried: the operator's mistake, said in one line. */
export class ClusterAccessError extends Error {
  override readonly name = 'ClusterAccessError'
}

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/**
 * Finds the cluster and the credentials.
 *
 * @throws ClusterAccessError
 */
export async function findClusterAccess(options: ClusterAccessOptions): Promise<ClusterAccess> {
  const place = findPlace(options)
  // Imported here: it costs half a second and 88 MB, which `berth help` need not pay.
  const library = await import('@kubernetes/client-node')
  const load = (): KubeConfig => prepared(loadFrom(place, library.KubeConfig), place, options.apiServer)
  const first = load()
  const cluster = first.getCurrentCluster()
  if (cluster === null) throw new ClusterAccessError(`${place.text}: its current context names no cluster`)
  let current: KubeConfig | undefined = first
  return {
    server: cluster.server.replace(/\/+$/, ''),
    namespace: first.getContextObject(first.getCurrentContext())?.namespace ?? '',
    source: place.kind === 'files' ? `${place.text}, context '${first.getCurrentContext()}'` : place.text,
    async settings() {
      current ??= load()
      return settingsOf(current, place)
    },
    invalidate() {
      current = undefined
    },
  }
}

interface Place {
  readonly kind: 'inCluster' | 'files' | 'anonymous'
  readonly files: readonly string[]
  readonly text: string
}

function findPlace({ kubeconfigPath, apiServer, environment }: ClusterAccessOptions): Place {
  if (kubeconfigPath !== '') return filePlace([kubeconfigPath])
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? ''
  if (host !== '' && isReadable(SERVICE_ACCOUNT_TOKEN)) {
    return { kind: 'inCluster', files: [], text: 'in-cluster service account' }
  }
  const listed = (environment['KUBECONFIG'] ?? '').split(':').filter((file) => file !== '')
  if (listed.length > 0) return filePlace(listed)
  const home = join(environment['HOME'] ?? '/', '.kube', 'config')
  if (isReadable(home)) return filePlace([home])
  if (apiServer !== '') return { kind: 'anonymous', files: [], text: '--k8s-api-server' }
  throw new ClusterAccessError(
    `no way to a Kubernetes API server: not in a pod, KUBECONFIG is not set and ${home} cannot be read; name a file with --kubeconfig, or a server without credentials with --k8s-api-server`,
  )
}

function filePlace(files: readonly string[]): Place {
  return { kind: 'files', files, text: `kubeconfig ${files.join(':')}` }
}

function loadFrom(place: Place, KubeConfigClass: typeof KubeConfig): KubeConfig {
  const config = new KubeConfigClass()
  if (place.kind === 'inCluster') {
    config.loadFromCluster()
    return config
  }
  if (place.kind === 'anonymous') {
    // The server is put in by the caller, like that of every other place.
    const cluster = { name: 'api-server', server: '', skipTLSVerify: false }
    config.loadFromClusterAndUser(cluster, { name: 'anonymous' })
    return config
  }
  for (const [index, file] of place.files.entries()) {
    const part = index === 0 ? config : new KubeConfigClass()
    try {
      part.loadFromString(withTokenFiles(readFileSync(file, 'utf8'), dirname(file)))
      part.makePathsAbsolute(dirname(file))
      if (index > 0) config.mergeConfig(part, true)
    } catch (error) {
      throw new ClusterAccessError(`kubeconfig ${file}: ${causeText(error)}`, { cause: error })
    }
  }
  return config
}

/**
 * `tokenFile` of a user, which the library reads once and relative to the working directory, becomes its provider of service account
 * tokens, which reads it again every minute.
 */
function withTokenFiles(text: string, folder: string): string {
  const document: unknown = parse(text)
  if (typeof document !== 'object' || document === null) throw new Error('it is empty or not YAML of a kubeconfig')
  const users = 'users' in document && Array.isArray(document.users) ? (document.users as unknown[]) : []
  for (const entry of users) {
    const user = (entry as { user?: Record<string, unknown> | null } | null)?.user
    const file = user?.['tokenFile'] ?? user?.['token-file']
    if (user === undefined || user === null || typeof file !== 'string') continue
    delete user['tokenFile']
    delete user['token-file']
    const tokenFile = isAbsolute(file) ? file : join(folder, file)
    user['auth-provider'] = { name: 'tokenFile', config: { tokenFile } }
  }
  return JSON.stringify(document)
}

/** Smooths what the library stumbles over, and says clearly what is missing. */
function prepared(config: KubeConfig, place: Place, apiServer: string): KubeConfig {
  const contextName = config.getCurrentContext()
  const context = config.getContextObject(contextName)
  if (context === null) {
    const known = config.getContexts().map(({ name }) => name)
    throw new ClusterAccessError(
      `${place.text}: current-context '${contextName ?? ''}' is not among its contexts (${known.join(', ') || 'none'})`,
    )
  }
  const cluster = config.getCluster(context.cluster)
  if (cluster === null) throw new ClusterAccessError(`${place.text}: there is no cluster '${context.cluster}'`)
  if (context.user !== undefined && config.getUser(context.user) === null) {
    throw new ClusterAccessError(`${place.text}: there is no user '${context.user}'`)
  }
  const server = apiServer === '' ? cluster.server : apiServer
  if (!/^https?:\/\//.test(server) || !URL.canParse(server)) {
    throw new ClusterAccessError(`${place.text}: the server '${server}' is not a URL`)
  }
  // Without a user the library leaves out the CA; with plain HTTP it asks for the switch that says so.
  const user = context.user ?? ''
  config.loadFromOptions({
    clusters: config
      .getClusters()
      .map((entry) =>
        entry.name === cluster.name
          ? { ...entry, server, skipTLSVerify: server.startsWith('http:') || entry.skipTLSVerify }
          : entry,
      ),
    users: user === '' ? [...config.getUsers(), { name: '' }] : config.getUsers(),
    contexts: config.getContexts().map((entry) => (entry.name === contextName ? { ...entry, user } : entry)),
    currentContext: contextName,
  })
  return config
}

async function settingsOf(config: KubeConfig, place: Place): Promise<RequestSettings> {
  const options: Parameters<KubeConfig['applyToHTTPSOptions']>[0] = {}
  try {
    await config.applyToHTTPSOptions(options)
  } catch (error) {
    throw new ClusterAccessError(`${place.text}: cannot get credentials: ${causeText(error)}`, { cause: error })
  }
  const { ca, cert, key, servername, rejectUnauthorized } = options as TLSSettings
  const headers: Record<string, string> = {}
  // A token file ends with a line feed, which no header may.
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value).trim()
  const isProxied = config.getCurrentCluster()?.proxyUrl !== undefined
  return {
    headers,
    auth: options.auth ?? undefined,
    tls: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(servername !== undefined && { servername }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    },
    proxyAgent: isProxied && typeof options.agent === 'object' ? options.agent : undefined,
  }
}

function isReadable(file: string): boolean {
  try {
    readFileSync(file)
    return true
  } catch {
    return false
  }
}
