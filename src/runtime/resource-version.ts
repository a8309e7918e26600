/**
 * Whether a version of a Kubernetes resource is surely older than another one of the same resource: an event that was under way while
 * a newer version was already learnt from the reply of a write. Versions that are not numbers are never older.
 *
 * @source kubernetes KEP-5504, comparable resource versions
 */
export function isOlderVersion(version: string, seen: string): boolean {
  if (version === seen || !/^\d+$/.test(version) || !/^\d+$/.test(seen)) return false
  return version.length === seen.length ? version < seen : BigInt(version) < BigInt(seen)
}
