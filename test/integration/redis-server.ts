import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import process from 'node:process'

/** Whether Debian's `redis-server` is there. */
export const hasRedisServer = spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0

/** A real Redis server of this test, on a port of its own. It keeps nothing when it is killed, as a cache does. */
export class RedisServer {
  readonly port: number
  readonly #password: string
  #process: ChildProcess | undefined
  /** Also when the test's process ends before the test does. */
  readonly #end = (): void => {
    process.off('exit', this.#end)
    this.#process?.kill('SIGKILL')
  }

  private constructor(port: number, password: string) {
    this.port = port
    this.#password = password
  }

  static async start(password = ''): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), password)
    await server.start()
    return server
  }

  get url(): string {
    return `redis://${this.#password === '' ? '' : `:${this.#password}@`}127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    const password = this.#password === '' ? [] : ['--requirepass', this.#password]
    const child = spawn('redis-server', [...args, ...password, '--dir', '/tmp'], { stdio: 'ignore' })
    this.#process = child
    process.once('exit', this.#end)
    for (let attempt = 0; attempt < 500 && !(await answers(this.port)); attempt++) await pause(10)
  }

  /** Stops answering, without closing a connection. */
  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    this.#end()
    await gone
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => socket.write('PING\r\n'))
    socket.on('data', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
