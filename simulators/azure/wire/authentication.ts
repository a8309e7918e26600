import { InputError } from '../../kit/input.ts'
import { ARMError, fault } from '../errors.ts'

/** How calls of a client are refused: an unknown token, or one without the right. */
export type DenialKind = 'InvalidAuthenticationToken' | 'AuthorizationFailed'

/** Who calls, and until when its token is good. */
export interface Principal {
  /** The client ID of the token; for tokens of others a short form of it. */
  readonly name: string
  /** In seconds since 1970; undefined for tokens that do not tell. */
  readonly expiresAt: number | undefined
}

const CHALLENGE = 'Bearer authorization_uri="https://login.windows.net/", error="invalid_token"'
/** Of a token that is not a JSON Web Token, what stands for its owner (count of characters). */
const SHORT_FORM = 16

/** A token as the simulator's endpoints issue them: of the form of the service's, unsigned. */
export function issueToken(claims: {
  readonly clientID: string
  readonly tenantID: string
  readonly audience: string
  readonly issuedAt: number
  readonly expiresAt: number
}): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const { clientID, tenantID, audience, issuedAt, expiresAt } = claims
  const payload = {
    aud: audience,
    appid: clientID,
    oid: clientID,
    tid: tenantID,
    iat: issuedAt,
    nbf: issuedAt,
    exp: expiresAt,
  }
  return `${part({ typ: 'JWT', alg: 'none' })}.${part(payload)}.simulated`
}

/**
 * Who sends this header. Any token is good that is not expired; its signature is not looked at.
 *
 * @throws ARMError AuthenticationFailed without a token
 */
export function principalOf(authorization: string | undefined): Principal {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  if (token === undefined) throw challenged(fault('AuthenticationFailed'))
  const claims = claimsOf(token)
  const name = claims?.['appid'] ?? claims?.['oid'] ?? claims?.['sub']
  const expiresAt = claims?.['exp']
  return {
    name: typeof name === 'string' && name !== '' ? name : token.slice(0, SHORT_FORM),
    expiresAt: typeof expiresAt === 'number' ? expiresAt : undefined,
  }
}

/** @throws ARMError when the token is expired or its owner is to be refused */
export function authorize(
  { name, expiresAt }: Principal,
  call: {
    readonly now: Date
    readonly denied: ReadonlyMap<string, DenialKind>
    readonly action: string
    readonly scope: string
  },
): void {
  if (expiresAt !== undefined && expiresAt * 1000 <= call.now.getTime())
    throw challenged(fault('ExpiredAuthenticationToken'))
  switch (call.denied.get(name)) {
    case 'InvalidAuthenticationToken':
      throw challenged(fault('InvalidAuthenticationToken'))
    case 'AuthorizationFailed':
      throw fault('AuthorizationFailed', name, call.action, call.scope)
    case undefined:
  }
}

function challenged(error: ARMError): ARMError {
  return new ARMError(error.code, error.status, error.message, { headers: { 'www-authenticate': CHALLENGE } })
}

function claimsOf(token: string): Readonly<Record<string, unknown>> | undefined {
  const [, payload, signature] = token.split('.')
  if (payload === undefined || signature === undefined) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : undefined
  } catch {
    return undefined // not a JSON Web Token: as good as any other
  }
}

/**
 * Reads `client=AuthorizationFailed,other=InvalidAuthenticationToken`.
 *
 * @throws InputError
 */
export function parseDenied(text: string): Readonly<Record<string, DenialKind>> {
  const denied: Record<string, DenialKind> = {}
  for (const part of text.split(',').filter((one) => one !== '')) {
    const [client = '', kind] = part.split('=')
    if (client === '' || (kind !== 'InvalidAuthenticationToken' && kind !== 'AuthorizationFailed')) {
      throw new InputError('denied', [
        `must be CLIENT=InvalidAuthenticationToken or CLIENT=AuthorizationFailed, not ${part}`,
      ])
    }
    denied[client] = kind
  }
  return denied
}
