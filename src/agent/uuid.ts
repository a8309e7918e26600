import type { Random } from '../runtime/random.ts'

/** A random UUID, version 4 (RFC 9562), from the passed source of chance. */
export function randomUUID(random: Random): string {
  const bytes = Array.from({ length: 16 }, () => Math.floor(random.next() * 256))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const text = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-')
}
