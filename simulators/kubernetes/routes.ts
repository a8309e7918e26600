import type { WireRequest, WireResponse } from '../kit/http.ts'
import { aggregatedDiscovery, coreVersions, groupDocument, groupList, resourceList, versionInfo } from './discovery.ts'
import type { JSONObject } from './json.ts'
import { aggregatedDiscoveryType } from './media-types.ts'
import { openAPIv2, openAPIv3Document, openAPIv3Index } from './openapi.ts'
import type { Registry } from './registry.ts'

/** Paths that are about the server and not about objects: health, version, discovery, OpenAPI. */

const HEALTH_PATH = /^\/(?:healthz|livez|readyz)(?:\/|$)/

/**
 * How kubectl before 1.27 asks for the document it checks manifests with. The empty message is a valid document that knows no
 * kind, so that nothing is checked at the client and everything here.
 */
const OPENAPI_PROTOBUF = 'com.github.proto-openapi.spec.v2'

/** Health and version answer without authentication, as on the real server. */
export function isPublicPath(path: string): boolean {
  return HEALTH_PATH.test(path) || path === '/version' || path === '/version/'
}

/** @returns undefined when the path is none of them */
export function serverDocument(registry: Registry, request: WireRequest): WireResponse | undefined {
  if (request.method !== 'GET') return undefined
  const path = request.path.length > 1 ? request.path.replace(/\/$/, '') : request.path
  if (HEALTH_PATH.test(path))
    return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: 'ok' }
  if (path === '/openapi/v2' && (request.headers['accept'] ?? '').includes(OPENAPI_PROTOBUF)) {
    return { status: 200, headers: { 'content-type': `application/${OPENAPI_PROTOBUF}.v1.0+protobuf` }, body: '' }
  }
  if (path === '/api' || path === '/apis') return rootDiscovery(registry, request, path === '/api')
  const document = documentAt(registry, path)
  return document === undefined ? undefined : jsonDocument(document)
}

function documentAt(registry: Registry, path: string): JSONObject | undefined {
  if (path === '/')
    return { paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'] }
  if (path === '/version') return versionInfo()
  if (path === '/openapi/v2') return openAPIv2()
  if (path === '/openapi/v3') return openAPIv3Index(registry)
  const [, openAPI, root, first = '', second = '', rest] =
    /^(\/openapi\/v3)?\/(apis?)\/([^/]+)(?:\/([^/]+))?(\/.*)?$/.exec(path) ?? []
  if (root === undefined || rest !== undefined || (root === 'api' && second !== '')) return undefined
  const [group, version] = root === 'api' ? ['', first] : [first, second]
  if (openAPI !== undefined) return openAPIv3Document(registry, group, version)
  return version === '' ? groupDocument(registry, group) : resourceList(registry, group, version)
}

function rootDiscovery(registry: Registry, request: WireRequest, isCore: boolean): WireResponse {
  const aggregated = aggregatedDiscoveryType(request)
  if (aggregated === undefined) return jsonDocument(isCore ? coreVersions() : groupList(registry))
  const { version } = aggregated
  const contentType = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
  return jsonDocument(aggregatedDiscovery(registry, isCore, version), contentType)
}

function jsonDocument(document: JSONObject, contentType = 'application/json'): WireResponse {
  return { status: 200, headers: { 'content-type': contentType }, body: JSON.stringify(document) }
}
