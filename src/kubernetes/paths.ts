/** Collections and objects of the API that this program uses. deploy/kubernetes/rbac.yaml allows exactly what is done to them. */

export const CILIUM_NODES_PATH = '/apis/cilium.io/v2/ciliumnodes'
export const PODS_PATH = '/api/v1/pods'
export const NODES_PATH = '/api/v1/nodes'
export const POD_IP_POOLS_PATH = '/apis/cilium.io/v2alpha1/ciliumpodippools'

export function podsPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`
}

export function nodePath(name: string): string {
  return `${NODES_PATH}/${encodeURIComponent(name)}`
}

export function eventsPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`
}

export function ciliumNodePath(name: string): string {
  return `${CILIUM_NODES_PATH}/${encodeURIComponent(name)}`
}

export function leasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`
}
