import { connect } from 'node:net'

/** @source unix(7): `sun_path` has 108 bytes, the last one for the terminating zero */
export const MAX_SOCKET_PATH_BYTES = 107

/**
 * Whether a process listens on a Unix socket. A file without a listener, such as a crash leaves, does not count; a socket that
 * cannot be asked (no permission) does.
 */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT' && error.code !== 'ENOTSOCK')
    })
  })
}
