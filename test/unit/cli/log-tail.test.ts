import { expect, test } from 'vitest'
import { logTail } from '../../../src/cli/log-tail.ts'

test('keeps the last lines in a form for people, and tells about problems', () => {
  const problems: string[] = []
  const tail = logTail(2, (line) => problems.push(line))
  tail.destination.write('{"level":"info","time":1,"msg":"Started","node":"a"}\n{"level":"warn","msg":"Slow",')
  tail.destination.write('"error":{"message":"no answer","stack":"…"},"count":3.04}\n')
  tail.destination.write('{"level":"info","msg":"Assigned addresses","interfaceID":"eni-1"}\n')
  expect(tail.lines).toEqual(['warn  Slow error=no answer count=3', 'info  Assigned addresses interfaceID=eni-1'])
  expect(problems).toEqual(['warn  Slow error=no answer count=3'])
})

test('what is not a log record is shown as it is', () => {
  const problems: string[] = []
  const tail = logTail(5, (line) => problems.push(line))
  tail.destination.write('(node:1) Warning: something\n\n[1]\n')
  expect(tail.lines).toEqual(['(node:1) Warning: something', '[1]'])
  expect(problems).toEqual(tail.lines)
})
