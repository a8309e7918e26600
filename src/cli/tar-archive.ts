/** One file of an archive. */
export interface ArchiveFile {
  /** Relative, with `/`; at most 100 bytes. */
  readonly path: string
  readonly text: string
}

const BLOCK = 512
/** Two empty blocks end an archive. @source POSIX.1-2017, pax, ustar Interchange Format */
const END_BLOCKS = 2
const FILE_MODE = 0o600
const MAX_PATH_BYTES = 100

/**
 * Files → an uncompressed tar archive (ustar).
 *
 * @param modifiedAt of every file; whole seconds count
 * @source POSIX.1-2017, pax, ustar Interchange Format
 */
export function tarArchive(files: readonly ArchiveFile[], modifiedAt: Date): Buffer {
  const parts = files.flatMap(({ path, text }) => {
    const content = Buffer.from(text)
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)
    return [headerOf(path, content.length, modifiedAt), content, padding]
  })
  return Buffer.concat([...parts, Buffer.alloc(BLOCK * END_BLOCKS)])
}

function headerOf(path: string, size: number, modifiedAt: Date): Buffer {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw new Error(`the path is too long for an archive: ${path}`)
  const header = Buffer.alloc(BLOCK)
  const octal = (value: number, offset: number, length: number): void => {
    header.write(value.toString(8).padStart(length - 1, '0'), offset, 'ascii')
  }
  header.write(path, 0, 'utf8')
  octal(FILE_MODE, 100, 8)
  octal(0, 108, 8) // owner
  octal(0, 116, 8) // group
  octal(size, 124, 12)
  octal(Math.floor(modifiedAt.getTime() / 1000), 136, 12)
  header.write(' '.repeat(8), 148, 'ascii') // the checksum counts itself as spaces
  header.write('0', 156, 'ascii') // a regular file
  header.write('ustar\u000000', 257, 'ascii')
  const checksum = header.reduce((sum, byte) => sum + byte, 0)
  header.write(`${checksum.toString(8).padStart(6, '0')}\u0000 `, 148, 'ascii')
  return header
}
