import type { JSONObject } from './json.ts'
import type { Registry, Resource } from './registry.ts'
import { apiVersionOf } from './resources/definition.ts'
import type { ServedVersion } from './resources/definition.ts'

/** `/version`, `/api`, `/apis` and what is below them: how a client learns which resources there are. */

/** The release whose behaviour is followed. */
const KUBERNETES_RELEASE = { major: '1', minor: '34', gitVersion: 'v1.34.0' }

export function versionInfo(): JSONObject {
  return {
    ...KUBERNETES_RELEASE,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '2025-08-27T10:09:04Z',
    goVersion: '',
    compiler: '',
    platform: 'simulator',
  }
}

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const STATUS_VERBS = ['get', 'patch', 'update']

/** `GET /api` */
export function coreVersions(): JSONObject {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
}

/** `GET /apis` */
export function groupList(registry: Registry): JSONObject {
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groupsOf(registry).map((group) => groupEntry(registry, group)),
  }
}

/** `GET /apis/GROUP`; undefined when nothing of the group is served. */
export function groupDocument(registry: Registry, group: string): JSONObject | undefined {
  if (!groupsOf(registry).includes(group)) return undefined
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(registry, group) }
}

/** `GET /api/v1`, `GET /apis/GROUP/VERSION`; undefined when nothing is served under it. */
export function resourceList(registry: Registry, group: string, version: string): JSONObject | undefined {
  const served = servedUnder(registry, group, version)
  if (served.length === 0) return undefined
  const resources = served.flatMap(([{ definition }, servedVersion]) => {
    const { plural, singular, isNamespaced: namespaced, kind, shortNames, categories } = definition
    const entry: JSONObject = {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs: VERBS,
      ...(shortNames.length === 0 ? {} : { shortNames }),
      ...(categories.length === 0 ? {} : { categories }),
      storageVersionHash: '',
    }
    const status = { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: STATUS_VERBS }
    return servedVersion.hasStatus ? [entry, status] : [entry]
  })
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(group, version), resources }
}

/**
 * Aggregated discovery: everything in one document. `/api` has the core group, `/apis` all others.
 *
 * @param version of apidiscovery.k8s.io: `v2` or `v2beta1`
 */
export function aggregatedDiscovery(registry: Registry, isCore: boolean, version: string): JSONObject {
  const groups = isCore ? [''] : groupsOf(registry)
  const items = groups.map((group) => ({
    metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
    versions: versionsOf(registry, group).map((name) => ({
      version: name,
      freshness: 'Current',
      resources: servedUnder(registry, group, name).map(([resource, served]) =>
        aggregatedResource(resource, served, group),
      ),
    })),
  }))
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items }
}

function aggregatedResource({ definition }: Resource, version: ServedVersion, group: string): JSONObject {
  const { plural, singular, isNamespaced, kind, shortNames, categories } = definition
  const responseKind = { group, version: version.name, kind }
  return {
    resource: plural,
    responseKind,
    scope: isNamespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: VERBS,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(version.hasStatus ? { subresources: [{ subresource: 'status', responseKind, verbs: STATUS_VERBS }] } : {}),
  }
}

/** Groups other than the core one, in order. */
function groupsOf(registry: Registry): readonly string[] {
  return [...new Set(registry.all().map(({ definition }) => definition.group))].filter((group) => group !== '')
}

/** Versions of a group, most preferred first; those of the resource that has most come first. */
function versionsOf(registry: Registry, group: string): readonly string[] {
  const resources = registry.all().filter(({ definition }) => definition.group === group)
  return [...new Set(resources.flatMap(({ definition }) => definition.versions.map((version) => version.name)))].sort(
    (left, right) => versionRank(left) - versionRank(right) || (left < right ? -1 : 1),
  )
}

/** Stable before beta before alpha. */
function versionRank(version: string): number {
  return version.includes('alpha') ? 2 : version.includes('beta') ? 1 : 0
}

function groupEntry(registry: Registry, group: string): JSONObject {
  const versions = versionsOf(registry, group).map((version) => ({
    groupVersion: apiVersionOf(group, version),
    version,
  }))
  return { name: group, versions, preferredVersion: versions[0] }
}

export function servedUnder(
  registry: Registry,
  group: string,
  version: string,
): readonly (readonly [Resource, ServedVersion])[] {
  return registry.all().flatMap((resource) => {
    const served = resource.definition.versions.find((one) => one.name === version)
    return resource.definition.group === group && served !== undefined ? [[resource, served] as const] : []
  })
}
