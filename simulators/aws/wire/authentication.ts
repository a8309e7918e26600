import type { WireRequest } from '../../kit/http.ts'
import { InputError } from '../../kit/input.ts'
import { fault } from '../errors.ts'
import type { EC2Error } from '../errors.ts'

/** How calls of an access key are refused: as credentials that do not exist, or as a principal without permission. */
export type DenialKind = 'AuthFailure' | 'UnauthorizedOperation'

const DENIAL_KINDS: readonly DenialKind[] = ['AuthFailure', 'UnauthorizedOperation']

/**
 * Access keys that are refused, as an option has them: `KEY=UnauthorizedOperation,OTHER=AuthFailure`.
 *
 * @throws InputError
 */
export function parseDenied(text: string): Readonly<Record<string, DenialKind>> {
  const denied: Record<string, DenialKind> = {}
  for (const entry of text.split(',').filter((one) => one.trim() !== '')) {
    const [key = '', word = ''] = entry.split('=').map((part) => part.trim())
    const kind = DENIAL_KINDS.find((one) => one === word)
    if (!/^\w{1,128}$/.test(key) || kind === undefined) {
      throw new InputError('denied', [`expected KEY=${DENIAL_KINDS.join('|')}, found '${entry.trim()}'`])
    }
    denied[key] = kind
  }
  return denied
}

/** Signature Version 4: header of a signed request. */
const SIGNED_HEADER = /^AWS4-(?:HMAC-SHA256|ECDSA-P256-SHA256)\s+Credential=([^/,\s]+)\//

/**
 * The access key that a request was signed with, from the header or, for a presigned query, from `X-Amz-Credential`. The signature is
 * not verified: any credentials are good ones.
 *
 * @returns undefined when the request is not signed
 */
export function accessKeyOf(request: WireRequest): string | undefined {
  const header = request.headers['authorization']
  if (header !== undefined) return SIGNED_HEADER.exec(header)?.[1]
  return request.query.get('X-Amz-Credential')?.split('/')[0]
}

/** @returns the refusal of this caller, or undefined when it may call */
export function refusalOf(
  accessKey: string | undefined,
  denied: ReadonlyMap<string, DenialKind>,
): EC2Error | undefined {
  if (accessKey === undefined) return fault('AuthFailure')
  const kind = denied.get(accessKey)
  return kind === undefined ? undefined : fault(kind)
}

/** `20260101T120000Z`, as `X-Amz-Date` has it. */
const SIGNED_AT = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/

/**
 * Refuses a signature whose date is too far from now, in either direction; a request that does not tell its date passes.
 *
 * @param maxSkewMs undefined refuses nothing; the service takes a quarter of an hour
 * @returns the refusal, or undefined
 * @source AWS documentation, Signature Version 4, date handling
 */
export function expiryOf(request: WireRequest, now: Date, maxSkewMs: number | undefined): EC2Error | undefined {
  if (maxSkewMs === undefined) return undefined
  const signedAt = SIGNED_AT.exec(request.headers['x-amz-date'] ?? request.query.get('X-Amz-Date') ?? '')
  if (signedAt === null) return undefined
  const [year = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0] = signedAt.slice(1).map(Number)
  const skewMs = Math.abs(now.getTime() - Date.UTC(year, month - 1, day, hours, minutes, seconds))
  return skewMs > maxSkewMs ? fault('RequestExpired') : undefined
}
