import { describe, expect, test } from 'vitest'
import { createEC2Simulator, inProcessHandler } from '../../../simulators/aws/index.ts'
import { saveWorld } from '../../../simulators/aws/world.ts'
import { leftoverCollection, openAWS } from '../../../src/cli/controller-aws.ts'
import type { FetchLike } from '../../../src/cli/controller-metadata.ts'
import { instanceMetadata } from '../../../src/cli/controller-metadata.ts'
import { DryRun } from '../../../src/cli/dry-run.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { resourceOf, UNMEASURED } from '../../conformance/adapters/aws-node.ts'
import { ManualClock } from '../../support/manual-clock.ts'

describe('what leftover interfaces are found by', () => {
  const found = (...flags: readonly string[]) => leftoverCollection(loadConfig(flags, {}).config, 'prod')

  test('the name of the cluster, unless tags are given, or nothing is collected', () => {
    expect(found()).toEqual({
      tags: { 'io.cilium/cilium-managed': 'true', 'io.cilium/cluster-name': 'prod' },
      intervalMs: 300_000,
    })
    expect(found('--eni-gc-tags=a=1', '--eni-gc-interval=1m')).toEqual({ tags: { a: '1' }, intervalMs: 60_000 })
    expect(found('--eni-gc-interval=0')).toBeUndefined()
  })
})

describe('tags of new interfaces', () => {
  const SUBNET_ID = 'subnet-0000000000000001a'
  const VPC_ID = 'vpc-0000000000000001a'
  const unknown = (): Promise<string> => Promise.reject(new Error('none'))

  /** The tags of an interface that a provider of this configuration creates, and what was logged on the way. */
  async function tagsOfNewInterface(flags: readonly string[], eksName?: string) {
    const ec2 = createEC2Simulator({ throttle: 'none', clock: new ManualClock() })
    const type = 'm5.large'
    const [own] = ec2.makeInstances({ instanceType: type, subnetId: SUBNET_ID, count: 1 }).instances
    if (eksName !== undefined) ec2.cloud.instance(own!.instanceId).tags.set('aws:eks:cluster-name', eksName)
    const logged: string[] = []
    const log = (_fields: object, message: string): void => void logged.push(message)
    const signal = new AbortController().signal
    const cloud = await openAWS({
      config: loadConfig(['--aws-region=us-east-1', `--aws-vpc-id=${VPC_ID}`, ...flags], {}).config,
      access: {
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
        requestHandler: inProcessHandler(ec2.router),
      },
      metadata: {
        region: unknown,
        vpcID: unknown,
        instanceID: () => (eksName === undefined ? unknown() : Promise.resolve(own!.instanceId)),
      },
      clock: new ManualClock(),
      random: { next: () => 0.5 },
      log: { debug: log, info: log, warn: log, error: log },
      metrics: UNMEASURED,
      signal,
    })
    const provider = cloud.createProvider(signal)
    const context = { priority: 'watermark', reason: 'test', signal } as const
    await provider.prepare(context)
    await provider.resync(context)
    const node = provider.createNode(
      resourceOf({
        instanceID: own!.instanceId,
        eni: { 'instance-type': type, 'vpc-id': VPC_ID, 'availability-zone': own!.availabilityZone },
      }),
    )
    const action = node.prepareIPAllocation()
    const outcome = await node.createInterface!({ ...action, ipv4: { ...action.ipv4, maxIPsToAllocate: 1 } }, context)
    const id = outcome.kind === 'created' ? outcome.interfaceID : ''
    const saved = saveWorld(ec2.cloud).networkInterfaces.find(({ networkInterfaceId }) => networkInterfaceId === id)
    return { tags: saved?.tags, logged }
  }

  const managed = { 'io.cilium/cilium-managed': 'true' }
  test.each([
    {
      flags: ['--eni-tags=a=1', '--cluster-name=prod'],
      tags: { a: '1', ...managed, 'io.cilium/cluster-name': 'prod', 'berth.io/cluster': 'prod' },
    },
    { flags: ['--eni-tags=a=1,b=2', '--eni-gc-tags=a=gc'], tags: { a: 'gc', b: '2', 'berth.io/cluster': 'default' } },
    { flags: ['--eni-tags=a=1', '--eni-gc-interval=0'], tags: { a: '1', 'berth.io/cluster': 'default' } },
    {
      flags: [],
      eksName: 'blue',
      tags: { ...managed, 'io.cilium/cluster-name': 'blue', 'berth.io/cluster': 'blue' },
    },
    {
      flags: ['--cluster-name=prod', '--eni-tags=berth.io/cluster=own'],
      eksName: 'blue',
      tags: { ...managed, 'io.cilium/cluster-name': 'prod', 'berth.io/cluster': 'own' },
    },
  ])('$flags on EKS cluster $eksName: $tags', async ({ flags, eksName, tags }) => {
    expect((await tagsOfNewInterface(flags, eksName)).tags).toEqual(tags)
  })

  test('are those of a nameless cluster, and that is said, where nothing knows a name', async () => {
    const { tags, logged } = await tagsOfNewInterface([])
    expect(tags).toEqual({ ...managed, 'io.cilium/cluster-name': 'default', 'berth.io/cluster': 'default' })
    expect(logged.some((message) => message.startsWith('The cluster has no name of its own'))).toBe(true)
  })
})

describe('a dry run', () => {
  test.each([true, false])('shares no tokens through Redis: %j', async (isDry) => {
    const ec2 = createEC2Simulator({ throttle: 'none', clock: new ManualClock() })
    const said: string[] = []
    const log = (_fields: object, message: string): void => void said.push(message)
    const clock = new ManualClock()
    const stop = new AbortController()
    const opening = openAWS({
      config: loadConfig(
        ['--aws-region=us-east-1', '--aws-vpc-id=vpc-1', '--cluster-name=test', '--budget-redis=redis://127.0.0.1:1'],
        {},
      ).config,
      access: {
        credentials: { accessKeyId: 'test', secretAccessKey: 'test', accountId: '1' },
        requestHandler: inProcessHandler(ec2.router),
      },
      metadata: instanceMetadata({
        clock,
        endpoint: '',
        isDisabled: true,
        fetch: () => Promise.reject(new Error('none')),
      }),
      clock,
      random: { next: () => 0.5 },
      log: { debug: log, info: log, warn: log, error: log },
      metrics: UNMEASURED,
      signal: stop.signal,
      ...(isDry && { dryRun: new DryRun(clock) }),
    })
    const settled = opening.then((cloud) => cloud.close()).catch(() => undefined)
    await expect.poll(() => said.length, { timeout: 5_000 }).toBeGreaterThan(0)
    expect(said.includes('Sharing the API budget through Redis')).toBe(!isDry)
    stop.abort(new Error('done'))
    await clock.advance(60_000)
    await settled
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

  test('tells the instance', async () => {
    const { fetch } = service({ '/latest/meta-data/instance-id': 'i-1\n' })
    const metadata = instanceMetadata({ clock: new ManualClock(), endpoint: '', fetch })
    expect(await metadata.instanceID(signal)).toBe('i-1')
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
