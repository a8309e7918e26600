import { fault } from '../errors.ts'

/** What the packages named in `DIFFERENCES.md` send, by provider. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  'microsoft.network': ['2026-01-01', '2025-05-01', '2018-10-01'],
  'microsoft.compute': ['2026-04-01', '2026-03-01', '2018-10-01'],
}
const FORM = /^\d{4}-\d{2}-\d{2}(?:-preview)?$/

/**
 * @param strictness whether any date is good, or only what is known
 * @throws ARMError MissingApiVersionParameter, InvalidApiVersionParameter
 */
export function checkAPIVersion(
  version: string | null,
  namespace: string | undefined,
  strictness: 'any' | 'known',
): void {
  if (version === null || version === '') throw fault('MissingApiVersionParameter')
  const isKnown = KNOWN[namespace?.toLowerCase() ?? '']?.includes(version) ?? false
  if (strictness === 'any' ? !FORM.test(version) : !isKnown) throw fault('InvalidApiVersionParameter', version)
}
