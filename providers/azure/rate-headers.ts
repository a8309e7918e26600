import type { CallKind } from './buckets.ts'

/** How many calls one bucket has left (count). */
export interface RemainingCalls {
  /** The identity's bucket of Resource Manager; the provider's bucket of the subscription; or that of the one resource. */
  readonly scope: 'subscription' | 'provider' | 'resource'
  readonly remaining: number
}

const PREFIX = 'x-ms-ratelimit-remaining'

/**
 * What the headers of an answer tell of the buckets that the call drew on. Headers that are absent, or no counts, tell nothing.
 *
 * Compute has one entry for each policy, `Microsoft.Compute/<policy>;<left>`; those of the older, half-hourly windows are not
 * buckets of ours and are left out.
 *
 * @source Azure documentation, Resource Manager, throttling; Virtual Machines, Troubleshoot API throttling errors
 */
export function observeRateHeaders(
  header: (name: string) => string | undefined,
  kind: CallKind,
): readonly RemainingCalls[] {
  const told: RemainingCalls[] = []
  const tell = (scope: RemainingCalls['scope'], text: string | undefined): void => {
    const remaining = text === undefined || text.trim() === '' ? Number.NaN : Number(text)
    if (remaining >= 0) told.push({ scope, remaining })
  }
  tell('subscription', header(`${PREFIX}-subscription-${kind}`))
  tell('subscription', header(`${PREFIX}-subscription-global-${kind}`))
  tell('subscription', header(`${PREFIX}-tenant-${kind}`))
  tell('provider', header(`${PREFIX}-subscription-resource-requests`))
  for (const entry of (header(`${PREFIX}-resource`) ?? '').split(',')) {
    const [policy = '', left] = entry.split(';')
    if (policy.endsWith('SubscriptionMaximum')) tell('provider', left)
    else if (policy.endsWith('ResourceMaximum')) tell('resource', left)
  }
  return told
}
