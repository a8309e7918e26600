import { stringify } from 'yaml'

const NAME = 'berth-simulator'

/**
 * A kubeconfig with one cluster, user and context, for a server without TLS: the JavaScript client insists on
 * `insecure-skip-tls-verify` there, and kubectl sends its token over TLS alone.
 *
 * @param token sent as bearer token; any text when the server takes all
 */
export function kubeconfig(url: string, token = 'simulator'): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: NAME, cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: NAME, user: { token } }],
    contexts: [{ name: NAME, context: { cluster: NAME, user: NAME, namespace: 'default' } }],
    'current-context': NAME,
  })
}
