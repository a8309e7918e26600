import { describe, expect, test } from 'vitest'
import { interfaceTags } from '../../../src/cli/controller-aws.ts'
import type { FetchLike } from '../../../src/cli/controller-metadata.ts'
import { instanceMetadata } from '../../../src/cli/controller-metadata.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { ManualClock } from '../../support/manual-clock.ts'

describe('tags of new interfaces', () => {
  test.each([
    [['--eni-tags=a=1'], { a: '1', 'io.cilium/cilium-managed': 'true', 'io.cilium/cluster-name': 'default' }],
    [['--cluster-name=prod'], { 'io.cilium/cilium-managed': 'true', 'io.cilium/cluster-name': 'prod' }],
    [['--eni-tags=a=1,b=2', '--eni-gc-tags=a=gc'], { a: 'gc', b: '2' }],
    [['--eni-tags=a=1', '--eni-gc-interval=0'], { a: '1' }],
  ])('%j', (flags, tags) => {
    expect(interfaceTags(loadConfig(flags, {}).config)).toEqual(tags)
  })
})

describe('the instance metadata service', () => {
  const { signal } = new AbortController()

  function service(answers: Readonly<Record<string, string>>): { fetch: FetchLike; asked: string[] } {
    const asked: string[] = []
    return {
      asked,
      fetch(url, { method, headers }) {
        const path = new URL(url).pathname
        asked.push(`${method} ${path}`)
        if (method === 'PUT') {
          const isRight = path === '/latest/api/token' && headers['x-aws-ec2-metadata-token-ttl-seconds'] !== undefined
          return Promise.resolve({ ok: isRight, status: isRight ? 200 : 400, text: () => Promise.resolve('the-token') })
        }
        const text = headers['x-aws-ec2-metadata-token'] === 'the-token' ? answers[path] : undefined
        return Promise.resolve({
          ok: text !== undefined,
          status: text === undefined ? 404 : 200,
          text: () => Promise.resolve(text ?? ''),
        })
      },
    }
  }

  test('tells region and VPC, with a token of version 2', async () => {
    const { fetch, asked } = service({
      '/latest/meta-data/placement/region': 'eu-central-1\n',
      '/latest/meta-data/mac': '0a:1b\n',
      '/latest/meta-data/network/interfaces/macs/0a:1b/vpc-id': 'vpc-1',
    })
    const metadata = instanceMetadata({ clock: new ManualClock(), endpoint: '', fetch })
    expect(await metadata.region(signal)).toBe('eu-central-1')
    expect(await metadata.vpcID(signal)).toBe('vpc-1')
    expect(asked.filter((request) => request.startsWith('PUT'))).toHaveLength(3)
  })

  test('that refuses is an error naming what was asked', async () => {
    const metadata = instanceMetadata({
      clock: new ManualClock(),
      endpoint: 'http://imds.test/',
      fetch: service({}).fetch,
    })
    await expect(metadata.region(signal)).rejects.toThrow(
      'http://imds.test/latest/meta-data/placement/region: status 404',
    )
  })

  test('that is switched off is not asked', async () => {
    const { fetch, asked } = service({})
    const metadata = instanceMetadata({ clock: new ManualClock(), endpoint: '', isDisabled: true, fetch })
    await expect(metadata.vpcID(signal)).rejects.toThrow('AWS_EC2_METADATA_DISABLED')
    expect(asked).toEqual([])
  })

  test('that is silent, as everywhere outside of EC2, is given up on after 3 s', async () => {
    const clock = new ManualClock()
    const silent: FetchLike = (_url, init) =>
      new Promise((_resolve, reject) => {
        init.signal.addEventListener('abort', () => reject(init.signal.reason as Error))
      })
    let message = ''
    instanceMetadata({ clock, endpoint: '', fetch: silent })
      .region(signal)
      .catch((error: unknown) => {
        message = String(error)
      })
    await clock.advance(2_999)
    expect(message).toBe('')
    await clock.advance(1)
    expect(message).toContain('no answer within 3 s')
  })
})
