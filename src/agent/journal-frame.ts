import { crc32 } from 'node:zlib'

/**
 * The frames of the state file. A frame is one line, `<CRC-32 of the JSON, 8 hex digits> <bytes of the JSON> <JSON>\n`, and holds what
 * one write made durable. The next frame is written only once the one before it is on the disk, so that a crash can damage
 * nothing but the last one.
 *
 * What a crash leaves of an append is a part of the frame from its beginning, or the whole with blocks of zeros in it: file systems
 * expose no other bytes past the old end of a file. Anything else is damage to bytes that were acknowledged, and an error: a lease
 * dropped silently would be handed out twice.
 */

const NEWLINE = 0x0a
const HEADER = /^([0-9a-f]{8}) (\d{1,10}) /
/** The longest header: checksum, blank, ten digits, blank (bytes). */
const LONGEST_HEADER = 20
/** What a disk writes at once, at least (bytes). */
const SECTOR_BYTES = 512
/** A header that was cut off. */
const PARTIAL_HEADER = /^[0-9a-f]{0,8}$|^[0-9a-f]{8} \d{0,10}$/

export interface DecodedFrames {
  /** The JSON value of each whole frame, in order. */
  readonly frames: readonly unknown[]
  /** End of the last whole frame (bytes). */
  readonly end: number
  /** Bytes after it that a crash left behind (count). They were never acknowledged. */
  readonly tornBytes: number
}

/** Bytes in the middle of a state file, or a whole last frame, that are not what was written. */
export class DamagedFrameError extends Error {
  override readonly name = 'DamagedFrameError'
  /** Start of the frame (bytes). */
  readonly offset: number
  /** Number of the frame's line, from 1. */
  readonly line: number

  constructor(offset: number, line: number, problem: string) {
    super(`line ${line} (byte ${offset}): ${problem}`)
    this.offset = offset
    this.line = line
  }
}

export function encodeFrame(value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value))
  return Buffer.concat([Buffer.from(`${checksum(json)} ${json.length} `), json, Buffer.from('\n')])
}

/** @throws DamagedFrameError */
export function decodeFrames(bytes: Buffer): DecodedFrames {
  const frames: unknown[] = []
  let offset = 0
  while (offset < bytes.length) {
    const frame = readFrame(bytes, offset)
    if ('problem' in frame) {
      const rest = bytes.subarray(offset)
      if (!isTorn(bytes, offset)) throw new DamagedFrameError(offset, frames.length + 1, frame.problem)
      return { frames, end: offset, tornBytes: rest.length }
    }
    frames.push(frame.value)
    offset = frame.end
  }
  return { frames, end: offset, tornBytes: 0 }
}

function readFrame(
  bytes: Buffer,
  offset: number,
): { readonly value: unknown; readonly end: number } | { readonly problem: string } {
  const header = HEADER.exec(bytes.toString('latin1', offset, offset + LONGEST_HEADER))
  const [head, expected, length] = header ?? []
  if (head === undefined || length === undefined) return { problem: 'not a frame' }
  const start = offset + head.length
  const end = start + Number(length)
  if (end >= bytes.length) return { problem: 'shorter than it says' }
  if (bytes[end] !== NEWLINE) return { problem: 'its end is not where it says' }
  const json = bytes.subarray(start, end)
  if (checksum(json) !== expected) return { problem: 'its checksum does not match' }
  try {
    return { value: JSON.parse(json.toString('utf8')), end: end + 1 }
  } catch {
    return { problem: 'not JSON' }
  }
}

/** Whether a crash during the last append explains the bytes from `offset` on, where a frame begins that is not whole. */
function isTorn(bytes: Buffer, offset: number): boolean {
  const rest = bytes.subarray(offset)
  if (rest.includes(0)) return hasOnlyZeroBlocks(bytes, offset) && !holdsFrame(rest)
  if (rest.includes(NEWLINE)) return false
  const [whole, , length] = HEADER.exec(rest.toString('latin1', 0, LONGEST_HEADER)) ?? []
  if (whole === undefined) return PARTIAL_HEADER.test(rest.toString('latin1'))
  return rest.length <= whole.length + Number(length)
}

/** Whether every run of zeros is made of blocks that never reached the disk. A flipped bit makes zeros too, in other places. */
function hasOnlyZeroBlocks(bytes: Buffer, offset: number): boolean {
  for (let start = bytes.indexOf(0, offset); start >= 0;) {
    let end = start
    while (end < bytes.length && bytes[end] === 0) end += 1
    const begins = start === offset || start % SECTOR_BYTES === 0
    if (!begins || (end !== bytes.length && end % SECTOR_BYTES !== 0)) return false
    start = bytes.indexOf(0, end)
  }
  return true
}

/** Whether a whole frame follows later: then what is before it was acknowledged once. */
function holdsFrame(rest: Buffer): boolean {
  for (let at = rest.indexOf(NEWLINE); at >= 0; at = rest.indexOf(NEWLINE, at + 1)) {
    if (!('problem' in readFrame(rest, at + 1))) return true
  }
  return false
}

function checksum(json: Buffer): string {
  return crc32(json).toString(16).padStart(8, '0')
}
