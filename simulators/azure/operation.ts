import type { ARMPath } from './cloud/arm-id.ts'
import type { ScriptedEnd } from './cloud/async-operations.ts'
import type { JSONObject } from './cloud/json.ts'
import type { Cloud } from './cloud.ts'
import type { CallKind, ComputePolicy } from './throttle.ts'

/** One call on its way to its operation. */
export interface Call {
  readonly cloud: Cloud
  readonly path: ARMPath
  /** As requested, for links to further pages. */
  readonly rawPath: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  /** The body; throws ARMError InvalidRequestContent when it is no JSON object. */
  body(): JSONObject
  /** `https://management.azure.com`: what the client calls the simulator. */
  readonly baseURL: string
  /** Who calls, for refusals. */
  readonly client: string
  /** How the script of faults lets a write of this call end. Drawn once for each call that starts one. */
  readonly scripted: () => ScriptedEnd
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** JSON text. */
  readonly body: string
}

/** One operation of the API. */
export interface Operation {
  /** As clients of the SDKs know it: `VirtualMachineScaleSetVMs.Update`. */
  readonly action: string
  readonly kind: CallKind
  readonly provider: 'Microsoft.Network' | 'Microsoft.Compute'
  readonly policy?: ComputePolicy
  /** How deep into the path the resource goes that has a bucket of its own (count of names); absent when there is none. */
  readonly resourceDepth?: number
  run(call: Call): Answer
}

export function ok(body: unknown): Answer {
  return { status: 200, body: typeof body === 'string' ? body : JSON.stringify(body) }
}

/** The name at this place of the path, which the route has made sure of. */
export function nameAt(call: Call, index: number): string {
  return call.path.names[index] ?? ''
}

export function groupOf(call: Call): string {
  return call.path.resourceGroup ?? ''
}
