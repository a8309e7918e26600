import { describe, expect, test } from 'vitest'
import { createAWSProvider, createEC2Client } from '../../providers/aws/index.ts'
import { createEC2Simulator } from '../../simulators/aws/index.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { contextOf, PLAIN_CONFIG, resourceOf, SILENT, UNLIMITED, UNMEASURED } from '../conformance/adapters/aws-node.ts'

/** The unmodified SDK over real HTTP, in real time. */
async function overHTTP(accessKeyId = 'AKIATEST') {
  const simulator = createEC2Simulator({ throttle: 'none', denied: { AKIAUNKNOWN: 'AuthFailure' } })
  const server = await simulator.listen({ host: '127.0.0.1', port: 0 })
  const client = createEC2Client({
    region: 'us-east-1',
    endpoint: server.url,
    credentials: { accessKeyId, secretAccessKey: 'test' },
  })
  const provider = createAWSProvider(PLAIN_CONFIG, {
    client,
    budget: UNLIMITED,
    clock: systemClock(),
    random: seededRandom(1),
    log: SILENT,
    metrics: UNMEASURED,
  })
  const close = async (): Promise<void> => {
    client.destroy()
    await server.close()
  }
  return { simulator, server, client, provider, close }
}

describe('AWS provider over HTTP', () => {
  test('prepares, reads, assigns, creates and releases', async () => {
    const { simulator, provider, close } = await overHTTP()
    const subnetId = 'subnet-0000000000000001a'
    const [instance] = simulator.makeInstances({ instanceType: 'm5.large', subnetId, count: 1 }).instances
    await provider.prepare(contextOf())
    const node = provider.createNode(
      resourceOf({
        instanceID: instance!.instanceId,
        eni: {
          'instance-type': 'm5.large',
          'vpc-id': instance!.vpcId,
          'availability-zone': instance!.availabilityZone,
          'node-subnet-id': subnetId,
          'first-interface-index': 0,
        },
      }),
    )
    await provider.resync(contextOf())
    const action = node.prepareIPAllocation()
    const ipv4 = { ...action.ipv4, availableForAllocation: 3, maxIPsToAllocate: 3 }
    expect(await node.allocateIPs({ ...action, ipv4 }, contextOf())).toEqual({ kind: 'allocated', addressCount: 3 })
    expect(await node.createInterface!({ ...action, ipv4 }, contextOf())).toMatchObject({
      kind: 'created',
      addressCount: 3,
    })
    await node.releaseIPs(node.prepareIPRelease(2), contextOf())
    expect(node.resyncInterfacesAndIPs().available.size).toBe(4)
    await provider.settle(contextOf().signal)
    expect(simulator.check()).toEqual([])
    await close()
  })

  test('credentials that EC2 does not know are denied', async () => {
    const { provider, close } = await overHTTP('AKIAUNKNOWN')
    await expect(provider.prepare(contextOf())).rejects.toMatchObject({ kind: 'denied', code: 'AuthFailure' })
    await close()
  })

  test('nobody listening is unavailable, and one attempt is made', async () => {
    const { client, provider, server, simulator, close } = await overHTTP()
    await server.close()
    await expect(provider.resync(contextOf())).rejects.toMatchObject({ kind: 'unavailable', code: '' })
    expect(simulator.calls.report().attempts).toBe(0)
    expect(await client.config.maxAttempts()).toBe(1)
    await close().catch(() => undefined)
  })
})
