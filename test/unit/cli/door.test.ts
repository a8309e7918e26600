import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import process from 'node:process'
import { expect, test } from 'vitest'

const DOOR = join(import.meta.dirname, '../../../bin/berth.mjs')

function start(...args: readonly string[]): ReturnType<typeof spawn> {
  return spawn(process.execPath, [DOOR, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}

// `fleet` is executed again, because the sizes of its heap hold from the start of a process or not at all.

test('a command that is executed again says and returns what it would by itself', async () => {
  const door = start('fleet', '--nodes', 'many')
  let stderr = ''
  door.stderr?.on('data', (text: Buffer) => (stderr += text.toString()))
  const [code] = (await once(door, 'close')) as [number]
  expect(code).toBe(2)
  expect(stderr.match(/berth fleet/g)).toHaveLength(1)
})

test('a signal ends both processes of a command that is executed again', async () => {
  const door = start('fleet', '--nodes', '100000')
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  door.kill('SIGTERM')
  // Their output closes only when the last of them has ended.
  const [code] = (await once(door, 'close')) as [number]
  expect(code).toBe(1)
}, 20_000)
