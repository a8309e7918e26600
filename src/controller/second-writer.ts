import type { CiliumNode, OwnedSpec, OwnedStatus } from '../ipam/cilium-node.ts'
import type { AllocationMap, JSONValue } from '../ipam/types.ts'

/** Two foreign changes of one field within this time are a fight over it (ms). */
export const CONTEST_WINDOW_MS = 120_000
/** Values of a field that are remembered as ours (count): what was there before, and the last ones written. */
const REMEMBERED_VALUES = 6

/** The fields that nobody but the one IPAM controller writes. */
export const OWN_FIELDS = ['spec.ipam.pool', 'status.eni', 'status.azure', 'status.alibaba-cloud'] as const
export type OwnField = (typeof OWN_FIELDS)[number]

/** What is known about one field of one node. Values are held as digests. */
export interface FieldMemory {
  readonly ours: readonly number[]
  readonly last: number | undefined
  /** When foreign values appeared, within the window (monotonic ms). */
  readonly foreignAtMs: readonly number[]
}

export const NO_FIELD_MEMORY: FieldMemory = { ours: [], last: undefined, foreignAtMs: [] }

/** We are about to write this value, or the API server answered our write with it. */
export function recordOurs(memory: FieldMemory, digest: number): FieldMemory {
  if (memory.ours.at(-1) === digest) return memory
  return { ...memory, ours: [...memory.ours.filter((known) => known !== digest), digest].slice(-REMEMBERED_VALUES) }
}

/**
 * A version of the resource shows this value. The first one ever seen is ours: it is what was there when we began.
 *
 * @returns `isContested` when somebody else changed the field for the second time within the window
 */
export function observeField(
  memory: FieldMemory,
  digest: number,
  nowMs: number,
): { readonly memory: FieldMemory; readonly isContested: boolean } {
  if (memory.last === digest) return { memory, isContested: false }
  if (memory.last === undefined) return { memory: { ...recordOurs(memory, digest), last: digest }, isContested: false }
  if (memory.ours.includes(digest)) return { memory: { ...memory, last: digest }, isContested: false }
  const foreignAtMs = [...memory.foreignAtMs.filter((atMs) => nowMs - atMs < CONTEST_WINDOW_MS), nowMs].slice(-2)
  return { memory: { ...memory, last: digest, foreignAtMs }, isContested: foreignAtMs.length > 1 }
}

/** The fields' values in a version of the resource. A field that is absent and one that is empty are the same. */
export function fieldsOf(node: CiliumNode): ReadonlyMap<OwnField, number> {
  const { eni, azure, alibabaCloud } = node.status
  const fields = new Map<OwnField, number>([['spec.ipam.pool', digestPool(node.spec.ipam.pool)]])
  if (eni !== undefined) fields.set('status.eni', digestJSON(eni))
  if (azure !== undefined) fields.set('status.azure', digestJSON(azure))
  if (alibabaCloud !== undefined) fields.set('status.alibaba-cloud', digestJSON(alibabaCloud))
  return fields
}

export function fieldsOfStatus(wanted: OwnedStatus): ReadonlyMap<OwnField, number> {
  if (wanted.provider === undefined) return new Map()
  return new Map<OwnField, number>([[`status.${wanted.provider.section}`, digestJSON(wanted.provider.value)]])
}

export function fieldsOfSpec(wanted: OwnedSpec): ReadonlyMap<OwnField, number> {
  return new Map<OwnField, number>([['spec.ipam.pool', digestPool(wanted.pool ?? undefined)]])
}

function digestPool(pool: AllocationMap | undefined): number {
  const entries = [...(pool ?? [])].map(([address, { resource = '' }]) => `${address}=${resource}`)
  return digest(entries.sort().join(' '))
}

function digestJSON(value: JSONValue): number {
  return digest(canonicalText(value))
}

/** Keys sorted; what is empty or absent left out, since an API server may drop or add it. */
function canonicalText(value: JSONValue | undefined): string {
  if (value === undefined || value === null || value === '') return ''
  if (typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) {
    const items: readonly JSONValue[] = value
    return items.length === 0 ? '' : `[${items.map(canonicalText).join(',')}]`
  }
  const members = Object.entries(value)
    .map(([key, member]) => [key, canonicalText(member)] as const)
    .filter(([, text]) => text !== '')
    .sort(([left], [right]) => (left < right ? -1 : 1))
  return members.length === 0 ? '' : `{${members.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`
}

/** FNV-1a, 32 bits. A collision would only make a foreign value pass for ours once. */
function digest(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}
