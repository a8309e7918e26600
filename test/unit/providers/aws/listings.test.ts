import { describe, expect, test } from 'vitest'
import { EC2API } from '../../../../providers/aws/api.ts'
import type { BudgetRequest } from '../../../../src/budget/contracts.ts'
import type { CloudCallMetrics } from '../../../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../../../src/ipam/errors.ts'
import { contextOf, UNLIMITED } from '../../../conformance/adapters/aws-node.ts'
import { ec2Error, lostAnswer, ScriptedEC2, type Responder } from '../../../conformance/adapters/aws-scripted-ec2.ts'
import { RecordingLog } from '../../../support/fake-fleet.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

function world(respond: Responder = () => undefined, pageSize = 150) {
  const ec2 = new ScriptedEC2(respond)
  const clock = new ManualClock()
  const log = new RecordingLog()
  const requests: BudgetRequest[] = []
  const observed: string[] = []
  const metrics: CloudCallMetrics = {
    observeAPICall: (operation, responseCode, seconds) => observed.push(`${operation} ${responseCode} ${seconds}`),
    observeRateLimit: () => undefined,
  }
  const budget = {
    ...UNLIMITED,
    run: <T>(request: BudgetRequest, call: () => Promise<T>): Promise<T> => {
      requests.push(request)
      return call()
    },
  }
  return {
    ec2,
    clock,
    log,
    requests,
    observed,
    api: new EC2API({ client: ec2.client, budget, clock, log, metrics }, pageSize),
  }
}

const INTERFACE = { NetworkInterfaceId: 'eni-1', PrivateIpAddress: '10.0.0.4', Attachment: { InstanceId: 'i-1' } }
const EVERYWHERE = { subnetIDs: undefined, instanceFilters: [] }

describe('a request', () => {
  test('passes the budget once, with its priority, reason and bucket, and is measured once', async () => {
    const { api, requests, observed } = world()
    await api.assignPrivateIPAddresses('eni-1', 2, {
      ...contextOf(),
      priority: 'pod-waiting',
      reason: 'resolve-deficit',
    })
    expect(requests).toMatchObject([
      {
        action: 'AssignPrivateIpAddresses',
        priority: 'pod-waiting',
        reason: 'resolve-deficit',
        buckets: [{ bucket: 'AssignPrivateIpAddresses', cost: 1 }],
      },
    ])
    expect(observed).toEqual(['AssignPrivateIpAddresses OK 0'])
  })

  test('that fails is measured with what EC2 said', async () => {
    const { api, observed } = world(() => ec2Error('RequestLimitExceeded', 'Request limit exceeded.'))
    await expect(api.deleteNetworkInterface('eni-1', contextOf())).rejects.toMatchObject({ kind: 'throttled' })
    expect(observed).toEqual(['DeleteNetworkInterface 503 Service Unavailable 0'])
  })

  test('without an answer is measured as failed', async () => {
    const { api, observed } = world(() => lostAnswer())
    await expect(api.assignIPv6Prefix('eni-1', contextOf())).rejects.toMatchObject({ kind: 'unavailable' })
    expect(observed).toEqual(['AssignIPv6Addresses Failed 0'])
  })

  test('an abandoned read ends with the reason of its caller', async () => {
    const controller = new AbortController()
    const { api } = world(() => {
      controller.abort(new Error('node deleted'))
      return Object.assign(new Error('Request aborted'), { name: 'AbortError' })
    })
    const read = api.listings.describeSubnets([], contextOf(controller.signal))
    await expect(read).rejects.toThrow('node deleted')
  })

  test.each<{ name: string; call: (api: EC2API) => Promise<unknown> }>([
    { name: 'assigned addresses', call: (api) => api.assignPrivateIPAddresses('eni-1', 1, contextOf()) },
    { name: 'assigned prefixes', call: (api) => api.assignIPv4Prefixes('eni-1', 1, contextOf()) },
    {
      name: 'an attachment',
      call: (api) =>
        api.attachNetworkInterface({ interfaceID: 'eni-1', instanceID: 'i-1', deviceIndex: 1 }, contextOf()),
    },
    { name: 'subnets', call: (api) => api.listings.describeSubnets([], contextOf()) },
    { name: 'interfaces', call: (api) => api.listings.describeInterfaces(EVERYWHERE, contextOf()) },
    { name: 'instance types', call: (api) => api.listings.describeInstanceTypes(false, contextOf()) },
    { name: 'Elastic IPs', call: (api) => api.associateElasticIP('eni-1', { a: 'b' }, contextOf()) },
  ])('an empty answer is no answer: $name', async ({ call }) => {
    const { api } = world(() => ({}))
    await expect(call(api)).rejects.toMatchObject({ kind: 'unavailable', code: '' })
  })
})

describe('a listing', () => {
  test('follows the token over empty pages, with the page size, until there is none', async () => {
    const pages = [
      { NetworkInterfaces: [INTERFACE], NextToken: 'a' },
      { NetworkInterfaces: [], NextToken: 'b' },
      { NetworkInterfaces: [{ ...INTERFACE, NetworkInterfaceId: 'eni-2' }] },
    ]
    const { api, ec2, requests } = world(() => pages.shift())
    const listed = await api.listings.describeInterfaces(EVERYWHERE, contextOf())
    expect(listed.map(({ eni }) => eni.id)).toEqual(['eni-1', 'eni-2'])
    expect(ec2.calls.map(({ input }) => [input['MaxResults'], input['NextToken']])).toEqual([
      [150, undefined],
      [150, 'a'],
      [150, 'b'],
    ])
    expect(requests).toHaveLength(3)
  })

  test('one bad interface is skipped with a warning that names it', async () => {
    const bad = { NetworkInterfaceId: 'eni-efa' }
    const { api, log } = world(() => ({ NetworkInterfaces: [bad, INTERFACE] }))
    await api.listings.describeInterfaces(EVERYWHERE, contextOf())
    const listed = await api.listings.describeInterfaces(EVERYWHERE, contextOf())
    expect(listed.map(({ eni }) => eni.id)).toEqual(['eni-1'])
    // It is in every listing: one line is enough.
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { interfaceID: 'eni-efa' } }])
  })

  test('a filter with more values than EC2 takes becomes several requests', async () => {
    const { api, ec2 } = world()
    const subnetIDs = Array.from({ length: 450 }, (_, index) => `subnet-${index}`)
    await api.listings.describeInterfaces({ subnetIDs, instanceFilters: [] }, contextOf())
    const sizes = ec2.calls.map(({ input }) =>
      (input['Filters'] as { Values: string[] }[]).map(({ Values }) => Values.length),
    )
    expect(sizes).toEqual([
      [1, 200],
      [1, 200],
      [1, 50],
    ])
  })

  test('configured subnets that do not exist list nothing rather than everything', async () => {
    const { api, ec2 } = world()
    expect(await api.listings.describeInterfaces({ subnetIDs: [], instanceFilters: [] }, contextOf())).toEqual([])
    expect(ec2.calls).toEqual([])
  })

  test('by instance filter: interfaces by ID, without page size, each once, in parts', async () => {
    const ids = Array.from({ length: 200 }, (_, index) => `eni-${index}`)
    const instances = [{ NetworkInterfaces: [...ids, 'eni-0'].map((NetworkInterfaceId) => ({ NetworkInterfaceId })) }]
    const { api, ec2 } = world(({ action }) =>
      action === 'DescribeInstances' ? { Reservations: [{ Instances: instances }] } : undefined,
    )
    await api.listings.describeInterfaces(
      { subnetIDs: undefined, instanceFilters: [{ name: 'tag:a', values: ['b'] }] },
      contextOf(),
    )
    const [, ...listings] = ec2.calls
    expect(listings.map(({ input }) => (input['NetworkInterfaceIds'] as string[]).length)).toEqual([150, 50])
    expect(listings.every(({ input }) => input['MaxResults'] === undefined)).toBe(true)
  })

  test('an instance filter that matches nothing lists nothing rather than everything', async () => {
    const { api, ec2 } = world()
    const scope = { subnetIDs: undefined, instanceFilters: [{ name: 'tag:a', values: ['b'] }] }
    expect(await api.listings.describeInterfaces(scope, contextOf())).toEqual([])
    expect(ec2.actions).toEqual(['DescribeInstances'])
  })

  test('an unpaged listing that is refused starts again in pages, for good', async () => {
    const refusals = [ec2Error('OperationNotPermitted', 'too many')]
    const { api, ec2 } = world(() => refusals.shift(), 0)
    await api.listings.describeInterfaces(EVERYWHERE, contextOf())
    await api.listings.describeInterfaces(EVERYWHERE, contextOf())
    expect(ec2.calls.map(({ input }) => input['MaxResults'])).toEqual([undefined, 1000, 1000])
    expect(api.pageSize).toBe(1000)
  })

  test('a paged listing that is refused is an error', async () => {
    const { api } = world(() => ec2Error('OperationNotPermitted', 'x'))
    await expect(api.listings.describeInterfaces(EVERYWHERE, contextOf())).rejects.toBeInstanceOf(CloudAPIError)
  })

  test('an unfiltered, unpaged listing draws on the smaller bucket where there is one', async () => {
    const { api, requests } = world(() => undefined, 0)
    await api.listings.describeSecurityGroups('', contextOf())
    await api.listings.describeSubnets([], contextOf())
    expect(requests.flatMap(({ buckets }) => buckets.map(({ bucket }) => bucket))).toEqual([
      'DescribeSecurityGroups:unfiltered',
      'DescribeSubnets',
    ])
  })
})

describe('infrastructure', () => {
  test('a VPC has its further CIDRs without the primary one; an ID goes without page size', async () => {
    const { api, ec2 } = world(() => ({
      Vpcs: [
        {
          VpcId: 'vpc-1',
          CidrBlock: '10.0.0.0/16',
          CidrBlockAssociationSet: [
            { CidrBlock: '10.0.0.0/16' },
            { CidrBlock: '10.2.0.0/16' },
            { CidrBlock: '10.1.0.0/16' },
          ],
        },
      ],
    }))
    expect(await api.listings.describeVPCs('vpc-1', contextOf())).toEqual([
      { id: 'vpc-1', primaryCIDR: '10.0.0.0/16', cidrs: ['10.2.0.0/16', '10.1.0.0/16'] },
    ])
    expect(ec2.calls[0]?.input).toEqual({ VpcIds: ['vpc-1'] })
  })

  test('a subnet without an IPv4 CIDR is left out, the name is a tag', async () => {
    const sound = {
      SubnetId: 's-1',
      CidrBlock: '10.0.0.0/24',
      AvailableIpAddressCount: 7,
      AvailabilityZone: 'a',
      VpcId: 'vpc-1',
    }
    const { api } = world(() => ({
      Subnets: [
        { ...sound, Tags: [{ Key: 'Name', Value: 'pods' }] },
        { SubnetId: 's-2' },
        { ...sound, CidrBlock: 'x' },
      ],
    }))
    expect(await api.listings.describeSubnets([], contextOf())).toMatchObject([
      { id: 's-1', name: 'pods', availableAddresses: 7, tags: { Name: 'pods' } },
    ])
  })

  test('only associated subnets count for a route table', async () => {
    const { api, ec2 } = world(() => ({
      RouteTables: [
        {
          RouteTableId: 'rt-1',
          VpcId: 'vpc-1',
          Associations: [
            { SubnetId: 's-1', AssociationState: { State: 'associated' } },
            { SubnetId: 's-2', AssociationState: { State: 'disassociated' } },
            { Main: true, AssociationState: { State: 'associated' } },
          ],
        },
      ],
    }))
    const [table] = await api.listings.describeRouteTables('vpc-1', contextOf())
    expect([...(table?.subnetIDs ?? [])]).toEqual(['s-1'])
    expect(ec2.calls[0]?.input['MaxResults']).toBe(100)
  })

  test.each([
    ['UnauthorizedOperation', 403],
    ['InvalidAction', 400],
  ])('without the new listing of groups (%s) the old one is used from then on', async (code, status) => {
    const { api, ec2, log } = world(({ action }) =>
      action === 'GetSecurityGroupsForVpc' ? ec2Error(code, 'no', status) : undefined,
    )
    await api.listings.describeSecurityGroups('vpc-1', contextOf())
    await api.listings.describeSecurityGroups('vpc-1', contextOf())
    expect(ec2.actions).toEqual(['GetSecurityGroupsForVpc', 'DescribeSecurityGroups', 'DescribeSecurityGroups'])
    expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  test('limits count all network cards, or the first alone', async () => {
    const { api } = world(() => ({
      InstanceTypes: [
        {
          InstanceType: 'p4d.24xlarge',
          Hypervisor: 'nitro',
          NetworkInfo: {
            MaximumNetworkInterfaces: 60,
            Ipv4AddressesPerInterface: 50,
            Ipv6AddressesPerInterface: 50,
            NetworkCards: [
              { NetworkCardIndex: 1, MaximumNetworkInterfaces: 15 },
              { NetworkCardIndex: 0, MaximumNetworkInterfaces: 14 },
            ],
          },
        },
      ],
    }))
    const adapters = async (onlyFirst: boolean): Promise<number | undefined> =>
      (await api.listings.describeInstanceTypes(onlyFirst, contextOf())).get('p4d.24xlarge')?.adapters
    expect(await adapters(false)).toBe(60)
    expect(await adapters(true)).toBe(14)
  })
})
