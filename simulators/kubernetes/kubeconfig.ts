import { stringify } from 'yaml'

const NAME = 'berth-simulator'

/** A kubeconfig with one cluster, user and context. @param token sent as bearer token; any text when the server takes all */
export function kubeconfig(url: string, token = 'simulator'): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: NAME, cluster: { server: url } }],
    users: [{ name: NAME, user: { token } }],
    contexts: [{ name: NAME, context: { cluster: NAME, user: NAME, namespace: 'default' } }],
    'current-context': NAME,
  })
}
