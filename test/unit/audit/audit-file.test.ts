import { mkdtempSync, readFileSync, renameSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openAuditFile } from '../../../src/audit/audit-file.ts'
import type { AuditEntry } from '../../../src/audit/audit-log.ts'

const entry = (id: string): AuditEntry => ({ time: 't', id, event: 'answer', action: 'Delete', result: 'done' })
const idsIn = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as AuditEntry).id)

describe('the audit file', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'berth-audit-')), 'audit.jsonl')

  test('is appended to line by line, by one process after another, and read by nobody else', () => {
    const first = openAuditFile(path)
    first.write(entry('a/1'))
    first.write(entry('a/2'))
    first.close()
    const second = openAuditFile(path)
    second.write(entry('b/1'))
    expect(idsIn(path)).toEqual(['a/1', 'a/2', 'b/1'])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    second.close()
  })

  test('goes on in a new file after a rotation, and in the old one when that cannot be had', () => {
    const file = openAuditFile(path)
    renameSync(path, `${path}.1`)
    file.write(entry('c/1'))
    file.reopen()
    file.write(entry('c/2'))
    expect(idsIn(`${path}.1`).at(-1)).toBe('c/1')
    expect(idsIn(path)).toEqual(['c/2'])
    file.close()
    expect(() => openAuditFile('/nonexistent/audit.jsonl')).toThrow('ENOENT')
  })
})
