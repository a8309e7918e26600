import { readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { join } from 'node:path'
import type { Random } from '../runtime/random.ts'
import { StateFileError } from './journal-errors.ts'
import { isListening, MAX_SOCKET_PATH_BYTES } from './api-socket.ts'

/** Holds a folder for one process; the kernel lets go of it with the process, however that ends. */
export interface FolderLock {
  release(): Promise<void>
}

const LOCK_NAME = /^lock-[0-9a-z]+\.sock$/

/**
 * Takes a folder for this process alone. Each contender listens on a socket of its own, with a name that is never used again, and
 * only then looks for others: of two that start together at least one sees the other alive and gives way, and a socket that
 * refuses connections belongs to a process that is gone. Works across PID namespaces, which a lock file with a PID does not.
 *
 * @throws StateFileError (in-use, unreadable)
 */
export async function lockFolder(folder: string, pid: number, random: Random): Promise<FolderLock> {
  const own = `lock-${pid.toString(36)}${Math.floor(random.next() * 2 ** 48).toString(36)}.sock`
  const path = join(folder, own)
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    const message = `The state folder ${folder} has too long a path for a Unix socket in it; choose a shorter --state-dir`
    throw new StateFileError('unreadable', folder, message)
  }
  const server = await listen(folder, path)
  try {
    for (const name of readdirSync(folder).filter((entry) => LOCK_NAME.test(entry) && entry !== own)) {
      const other = join(folder, name)
      if (await isListening(other)) {
        const message = `The state folder ${folder} is in use by another agent (${other}). Stop it, or choose another --state-dir`
        throw new StateFileError('in-use', folder, message)
      }
      rmSync(other, { force: true })
    }
  } catch (error) {
    await close(server)
    throw error
  }
  return { release: () => close(server) }
}

function listen(folder: string, path: string): Promise<Server> {
  // Whoever connects learns that the folder is taken, and nothing else.
  const server = createServer((socket) => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const message = `The state folder ${folder} cannot be used: ${error.message}. Check that it exists and may be written, or choose another --state-dir`
      reject(new StateFileError('unreadable', folder, message, error))
    })
    server.listen(path, () => resolve(server))
  })
}

/** Closing removes the socket's file. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()))
}
