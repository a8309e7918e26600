import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { EC2_ACTIONS } from '../../../../providers/aws/buckets.ts'

const folder = new URL('../../../../providers/aws/', import.meta.url)
const policy = JSON.parse(readFileSync(new URL('../../../../deploy/aws/iam-policy.json', import.meta.url), 'utf8')) as {
  Statement: { Effect: string; Action: string | string[] }[]
}

/** Actions whose commands the provider's source sends. */
function actionsInSource(): readonly string[] {
  const texts = readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(new URL(name, folder), 'utf8'))
  return [...new Set(texts.flatMap((text) => [...text.matchAll(/new (\w+)Command\(/g)].map((match) => match[1] ?? '')))]
}

describe('the IAM policy', () => {
  const allowed = policy.Statement.flatMap(({ Action }) => Action)

  test('allows exactly what the provider can call, and the tags that creating with tags needs', () => {
    const needed = [...actionsInSource(), 'CreateTags'].map((action) => `ec2:${action}`)
    expect(allowed.toSorted()).toEqual(needed.toSorted())
  })

  test('has no wildcard action, and only allows', () => {
    expect(allowed.filter((action) => action.includes('*'))).toEqual([])
    expect(new Set(policy.Statement.map(({ Effect }) => Effect))).toEqual(new Set(['Allow']))
  })

  test('agrees with the list of actions that draw on buckets', () => {
    expect([...EC2_ACTIONS].toSorted()).toEqual(actionsInSource().toSorted())
  })
})
