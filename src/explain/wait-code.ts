import type { CloudErrorKind } from '../ipam/errors.ts'
import type { NodeState } from '../ipam/node-state.ts'
import { assertNever } from '../runtime/assert.ts'
import type { ReasonCode } from './reasons.ts'

/** The reason of what `status.ipam.operator-status` says; undefined while it says nothing. */
export function codeOfNotice({ notice, failure }: Pick<NodeState, 'notice' | 'failure'>): ReasonCode | undefined {
  const { cause } = notice
  switch (cause.kind) {
    case 'nothing':
      return undefined
    case 'noInstanceID':
      return 'no-instance-id'
    case 'instanceMissing':
      return 'instance-missing'
    case 'instanceStopped':
      return 'instance-stopped'
    case 'limitsUnknown':
      return 'limits-unknown'
    case 'atCapacity':
      return 'at-capacity'
    case 'subnetExhausted':
      return cause.poolID === '' ? 'no-subnet' : 'subnet-full'
    case 'refused':
      return failure?.cause === undefined ? 'call-failed' : codeOfRefusal(failure.cause.kind)
    case 'callPending':
      return cause.bucket === '' ? 'call-sent' : 'waits-for-quota'
    default:
      return assertNever(cause)
  }
}

export type RefusalCode =
  | 'call-throttled'
  | 'call-denied'
  | 'cloud-limit'
  | 'call-invalid'
  | 'cloud-unavailable'
  | 'call-failed'

/** What a refusal means to a person. An exhausted subnet is no refusal of the call but of the subnet: it has a reason of its own. */
export function codeOfRefusal(kind: CloudErrorKind): RefusalCode {
  switch (kind) {
    case 'throttled':
      return 'call-throttled'
    case 'denied':
      return 'call-denied'
    case 'limit':
      return 'cloud-limit'
    case 'invalid':
      return 'call-invalid'
    case 'unavailable':
      return 'cloud-unavailable'
    case 'exhausted':
    case 'taken':
    case 'notFound':
    case 'stale':
    case 'conflict':
    case 'unknown':
      return 'call-failed'
    default:
      return assertNever(kind)
  }
}
