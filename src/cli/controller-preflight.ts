import type { KubernetesClient } from '../kubernetes/client.ts'
import { KubernetesAPIError } from '../kubernetes/errors.ts'
import { CILIUM_NODES_PATH, NODES_PATH, PODS_PATH } from '../kubernetes/paths.ts'
import { assertNever } from '../runtime/assert.ts'
import { StartError } from './controller-start-error.ts'
import { plainWords } from './plain-words.ts'

/** What is read all the time, as a collection and in words: without one of them the controller would run and silently do less. */
type Needed = readonly (readonly [path: string, what: string])[]

const NEEDED_BY_CLOUDS: Needed = [
  [CILIUM_NODES_PATH, 'CiliumNodes'],
  [PODS_PATH, 'pods'],
  [NODES_PATH, 'nodes'],
]

/**
 * One small read of everything that is watched later, so that a wrong address, wrong credentials and a missing permission are said
 * at the start, and plainly.
 *
 * @param source where the address and the credentials come from, for the message
 * @throws StartError
 */
export async function checkAPIServer(
  client: KubernetesClient,
  source: string,
  signal: AbortSignal,
  needed: Needed = NEEDED_BY_CLOUDS,
): Promise<void> {
  for (const [path, what] of needed) {
    try {
      await client.get(path, { query: { limit: 1 }, signal })
    } catch (error) {
      if (!(error instanceof KubernetesAPIError)) throw error
      throw new StartError(explain(error, client.server, source, what), { cause: error })
    }
  }
}

function explain(error: KubernetesAPIError, server: string, source: string, what: string): string {
  const which = `The Kubernetes API server ${server} (${source})`
  switch (error.kind) {
    case 'unavailable':
      return error.status === 0
        ? `Cannot reach the Kubernetes API server ${server} (${source}): ${wordsOf(error)}. Check that it runs and that the address is right; --kubeconfig or --k8s-api-server name another one`
        : `${which} cannot serve requests: ${error.message}`
    case 'denied':
      return error.status === 401
        ? `${which} does not accept the credentials: ${error.message}. Check the user of the kubeconfig, or name another file with --kubeconfig`
        : `${which} does not allow listing ${what}: ${error.message}. Apply ${what === 'CiliumPodIPPools' ? 'deploy/kubernetes/pools-rbac.yaml' : 'deploy/kubernetes/rbac.yaml'}, or use credentials that have its rules`
    case 'notFound':
      return `${which} knows no ${what}: install the definitions in deploy/crds, or Cilium, first`
    case 'throttled':
      return `${which} is overloaded: ${error.message}. Try again later`
    case 'conflict':
    case 'alreadyExists':
    case 'gone':
    case 'invalid':
    case 'malformed':
    case 'unknown':
      return `${which} does not answer like a Kubernetes API server: ${error.message}. Check the address`
    default:
      return assertNever(error.kind)
  }
}

/** Without the request in front: the message names the server already. */
function wordsOf(error: KubernetesAPIError): string {
  return plainWords(error.message.replace(/^GET \S+: /, ''))
}
