import { assertNever } from '../../kit/assert.ts'
import { jsonResponse } from '../../kit/http.ts'
import type { WireRequest, WireResponse } from '../../kit/http.ts'
import type { CloudSettings } from '../cloud/settings.ts'
import { issueToken } from './authentication.ts'
import type { DenialKind } from './authentication.ts'

/** The endpoints beside Resource Manager: tokens of Entra ID and the instance metadata service of one machine. */
export interface IdentityParts {
  readonly settings: CloudSettings
  /** Clients that get no token: those whose token would be invalid. */
  readonly denied: ReadonlyMap<string, DenialKind>
  now(): Date
}

export type IdentityAction = 'OAuth2.Token' | 'OAuth2.Configuration' | 'Metadata.Token' | 'Metadata.Instance'

/** Client ID of the machine's own identity, when a request names none. */
const SYSTEM_IDENTITY = '00000000-0000-0000-0000-0000000000cc'
const TOKEN_PATH = /^\/([^/]+)\/oauth2\/(?:v2\.0\/)?token$/i
const CONFIGURATION_PATH = /^\/([^/]+)\/(?:v2\.0\/)?\.well-known\/openid-configuration$/i
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const METADATA_PREFIX = '/metadata/'
const SECOND_MS = 1000

/** Which of these endpoints a request is for. */
export function identityActionOf({ method, path }: WireRequest): IdentityAction | undefined {
  if (path.startsWith(METADATA_PREFIX)) {
    // The library of identities puts a slash at the end of an address of one's own.
    return /^\/metadata\/identity\/oauth2\/token\/?$/i.test(path) ? 'Metadata.Token' : 'Metadata.Instance'
  }
  if (method === 'POST' && TOKEN_PATH.test(path)) return 'OAuth2.Token'
  return CONFIGURATION_PATH.test(path) ? 'OAuth2.Configuration' : undefined
}

export function answerIdentity(action: IdentityAction, request: WireRequest, parts: IdentityParts): WireResponse {
  switch (action) {
    case 'OAuth2.Token':
      return token(request, parts)
    case 'OAuth2.Configuration':
      return configuration(request)
    case 'Metadata.Token':
      return metadataToken(request, parts)
    case 'Metadata.Instance':
      return metadataInstance(request, parts)
    default:
      return assertNever(action)
  }
}

/** Client credentials, by secret or by assertion; neither is verified. */
function token(request: WireRequest, parts: IdentityParts): WireResponse {
  const form = new URLSearchParams(request.body)
  const clientID = form.get('client_id') ?? ''
  if (form.get('grant_type') !== 'client_credentials') {
    return refused('unsupported_grant_type', 'AADSTS70003: The app requested an unsupported grant type.')
  }
  const hasProof =
    form.has('client_secret') || (form.get('client_assertion_type') === ASSERTION_TYPE && form.has('client_assertion'))
  if (clientID === '' || !hasProof) {
    return refused(
      'invalid_request',
      'AADSTS900144: The request body must contain client_id and a secret or an assertion.',
    )
  }
  if (parts.denied.get(clientID) === 'InvalidAuthenticationToken') {
    return {
      ...refused('invalid_client', `AADSTS7000215: Invalid client secret provided for app '${clientID}'.`),
      status: 401,
    }
  }
  const audience = (form.get('scope') ?? form.get('resource') ?? '').replace(/\/\.default$/, '')
  const { text, lifetime } = issue(parts, clientID, audience)
  return jsonResponse(200, { token_type: 'Bearer', expires_in: lifetime, ext_expires_in: lifetime, access_token: text })
}

function refused(error: string, description: string): WireResponse {
  return jsonResponse(400, { error, error_description: description })
}

function configuration(request: WireRequest): WireResponse {
  const tenant = CONFIGURATION_PATH.exec(request.path)?.[1] ?? ''
  const base = `${request.headers['x-forwarded-proto'] ?? 'http'}://${request.headers['host'] ?? 'localhost'}/${tenant}`
  return jsonResponse(200, {
    token_endpoint: `${base}/oauth2/v2.0/token`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    issuer: `${base}/v2.0`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
    response_types_supported: ['token'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
  })
}

function issue(parts: IdentityParts, clientID: string, audience: string) {
  const { tenantID, tokenLifetimeSeconds: lifetime } = parts.settings
  const issuedAt = Math.floor(parts.now().getTime() / SECOND_MS)
  const expiresAt = issuedAt + lifetime
  return { text: issueToken({ clientID, tenantID, audience, issuedAt, expiresAt }), lifetime, issuedAt, expiresAt }
}

function hasMetadataHeader(request: WireRequest): boolean {
  return request.headers['metadata']?.toLowerCase() === 'true'
}

function metadataToken(request: WireRequest, parts: IdentityParts): WireResponse {
  if (!hasMetadataHeader(request)) return refused('invalid_request', 'Required metadata header not specified')
  const resource = request.query.get('resource')
  if (!request.query.has('api-version'))
    return refused('invalid_request', 'Required query variable api-version is missing')
  if (resource === null) return refused('invalid_request', 'Required query variable resource is missing')
  const clientID = request.query.get('client_id') ?? SYSTEM_IDENTITY
  if (parts.denied.get(clientID) === 'InvalidAuthenticationToken')
    return refused('invalid_request', 'Identity not found')
  const { text, lifetime, issuedAt, expiresAt } = issue(parts, clientID, resource)
  return jsonResponse(200, {
    access_token: text,
    client_id: clientID,
    expires_in: `${lifetime}`,
    expires_on: `${expiresAt}`,
    ext_expires_in: `${lifetime}`,
    not_before: `${issuedAt}`,
    resource,
    token_type: 'Bearer',
  })
}

/** What the machine knows of itself: the whole, a branch of it as JSON, or a leaf as text. */
function metadataInstance(request: WireRequest, { settings }: IdentityParts): WireResponse {
  if (!hasMetadataHeader(request))
    return jsonResponse(400, { error: 'Bad request. Required metadata header not specified' })
  if (request.method !== 'GET') return jsonResponse(405, { error: 'Method not allowed' })
  if (!request.query.has('api-version')) {
    return jsonResponse(400, {
      error: 'Bad request. api-version was not specified in the request',
      'newest-versions': ['2021-12-13', '2021-11-15', '2021-11-01'],
    })
  }
  const compute = {
    azEnvironment: settings.environment,
    location: settings.location,
    name: 'controller',
    osType: 'Linux',
    resourceGroupName: settings.resourceGroup,
    resourceId: `/subscriptions/${settings.subscriptionID}/resourceGroups/${settings.resourceGroup}/providers/Microsoft.Compute/virtualMachines/controller`,
    subscriptionId: settings.subscriptionID,
    vmScaleSetName: '',
  }
  let found: unknown = { instance: { compute } }
  for (const segment of request.path.split('/').slice(2)) {
    if (segment === '') continue
    const members = typeof found === 'object' && found !== null ? Object.entries(found) : []
    found = members.find(([name]) => name.toLowerCase() === segment.toLowerCase())?.[1]
  }
  if (found === undefined) return jsonResponse(404, { error: 'Not found' })
  const asText = request.query.get('format') === 'text'
  if (typeof found === 'string' && asText)
    return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: found }
  if (typeof found === 'object' && asText)
    return jsonResponse(404, { error: 'Bad request. Requested content type is not supported' })
  return jsonResponse(200, found)
}
