import { constants } from 'node:fs'
import { open, readFile, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Where the bytes of a journal live. What resolves is on the disk. */
export interface JournalStorage {
  /** For messages. */
  readonly name: string
  /** @returns undefined when nothing was ever written */
  read(): Promise<Buffer | undefined>
  /** Adds to the end. After a failure the end is unknown: only `replace` may follow. */
  append(bytes: Buffer): Promise<void>
  /** Puts new content in the place of the old: after a crash there is the one or the other, never a mixture. */
  replace(pieces: readonly Buffer[]): Promise<void>
  close(): Promise<void>
}

/** Only the agent reads and writes it: owners name pods. */
const FILE_MODE = 0o600

/** A file in a folder that exists. Its successor is written beside it, with `.new` at the end of the name. */
export function fileStorage(path: string): JournalStorage {
  const successor = `${path}.new`
  let current: FileHandle | undefined
  const close = async (): Promise<void> => {
    const handle = current
    current = undefined
    await handle?.close()
  }
  return {
    name: path,
    async read() {
      try {
        return await readFile(path)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
    },
    async append(bytes) {
      current ??= await open(path, constants.O_WRONLY | constants.O_APPEND)
      await writeAll(current, bytes)
      await current.datasync()
    },
    async replace(pieces) {
      await close().catch(() => undefined) // after a failed write the old handle may have nothing good to say
      await rm(successor, { force: true })
      const handle = await open(successor, 'wx', FILE_MODE)
      try {
        for (const piece of pieces) await writeAll(handle, piece)
        await handle.sync()
      } catch (error) {
        await handle.close().catch(() => undefined)
        throw error
      }
      await handle.close()
      await rename(successor, path)
      await syncFolder(dirname(path))
    },
    close,
  }
}

/** A write may take less than it was given. */
async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, offset)
    offset += bytesWritten
  }
}

/** A rename is durable once its folder is. @source fsync(2), "Calling fsync() does not necessarily ensure that the entry in the directory" */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
