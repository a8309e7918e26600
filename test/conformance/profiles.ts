import type { IPAMProfile } from '../../src/ipam/types.ts'

/** Our profiles, newest first, each with the versions that it stands for (minor versions, inclusive). */
const PROFILE_RANGES: readonly { readonly profile: IPAMProfile; readonly from: number; readonly to: number }[] = [
  { profile: 'latest', from: 20, to: Infinity },
  { profile: '1.19', from: 19, to: 19 },
  { profile: '1.18', from: 15, to: 18 },
  { profile: '1.14', from: 0, to: 14 },
]

/** Versions that a vector holds for: minor versions of 1.x, inclusive; a patch is a fraction (1.20.1 → 20.001). */
interface VersionRange {
  readonly from: number
  readonly to: number
}

const EVERY_VERSION: VersionRange = { from: 0, to: Infinity }
/** The development line after the newest release. */
const DEVELOPMENT_LINE: VersionRange = { from: 21, to: Infinity }

/**
 * The newest of our profiles under which a vector holds.
 *
 * A profile satisfies a bound when the version that gave it its name does (`1.18`, `1.19`, `1.14`; `latest` is the newest there
 * is). A bound that none satisfies (`1.16`) goes to the profile that stands for that version.
 *
 * @param bound as the files write it: `all`, `latest`, `1.14`, `>=1.15`, `<=1.20.0`, `>=1.15 <=1.18`, `main (1.21 line)`, or
 *   the wording of a file's own table of profiles, `v1.15 and later`. What is not understood counts as `all`.
 */
export function profileFor(bound: string): IPAMProfile {
  const range = parseBound(bound)
  const named = PROFILE_RANGES.find(({ profile }) => {
    const version = profile === 'latest' ? Infinity : minorOf(profile)
    return version >= range.from && version <= range.to
  })
  if (named !== undefined) return named.profile
  return PROFILE_RANGES.find(({ from, to }) => from <= range.to && to >= range.from)?.profile ?? 'latest'
}

function parseBound(text: string): VersionRange {
  const lowered = text.toLowerCase().trim()
  if (/^(seed|page)\b/.test(lowered)) return { from: 0, to: 0 }
  if (/^(latest|main|post|development line)\b/.test(lowered)) return DEVELOPMENT_LINE
  // A remark in brackets usually tells of other versions, unless it is the only place with a bound.
  const plain = lowered.replace(/\([^)]*\)/g, ' ')
  return rangeIn(plain) ?? rangeIn(lowered) ?? EVERY_VERSION
}

function rangeIn(text: string): VersionRange | undefined {
  const span = /v?1\.(\d+(?:\.\d+)?)\s+(?:to|and|-|–)\s+v?1\.(\d+(?:\.\d+)?)/.exec(text)
  if (span !== null) return { from: minor(span[1]), to: minor(span[2]) }
  const since = /v?1\.(\d+(?:\.\d+)?)\s+and\s+later/.exec(text)
  if (since !== null) return { from: minor(since[1]), to: Infinity }
  const upTo = /(?:up to|until)\s+v?1\.(\d+(?:\.\d+)?)/.exec(text)
  if (upTo !== null) return { from: 0, to: minor(upTo[1]) }
  const comparisons = [...text.matchAll(/(>=|<=|>|<|=)\s*v?1\.(\d+(?:\.\d+)?)/g)]
  if (comparisons.length > 0) return comparisons.reduce(narrow, EVERY_VERSION)
  const exact = /^v?1\.(\d+(?:\.\d+)?)(?:\s+only)?\b/.exec(text.trim())
  return exact === null ? undefined : { from: minor(exact[1]), to: minor(exact[1]) }
}

function narrow(range: VersionRange, [, operator, version]: RegExpExecArray): VersionRange {
  const bound = minor(version)
  const least = 1e-6
  if (operator === '>=') return { ...range, from: Math.max(range.from, bound) }
  if (operator === '>') return { ...range, from: Math.max(range.from, bound + least) }
  if (operator === '<=') return { ...range, to: Math.min(range.to, bound) }
  if (operator === '<') return { ...range, to: Math.min(range.to, bound - least) }
  return { from: bound, to: bound }
}

function minorOf(version: string): number {
  return minor(version.replace(/^1\./, ''))
}

/** `18` → 18, `20.1` (of 1.20.1) → 20.001. */
function minor(text: string | undefined): number {
  const [major = '0', patch = '0'] = (text ?? '0').split('.')
  return Number(major) + Number(patch) / 1000
}
