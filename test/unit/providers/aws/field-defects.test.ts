import { expect, test } from 'vitest'
import { attachInterface } from '../../../../simulators/aws/cloud/attachments.ts'
import { makeInterface } from '../../../../simulators/aws/cloud/interfaces.ts'
import { occupyAddresses } from '../../../../simulators/aws/occupy.ts'
import { parseFaults } from '../../../../simulators/kit/faults.ts'
import { makeAWSWorld, SUBNET_ID, VPC_ID, type AWSWorld } from '../../../contract/aws-world.ts'
import { CONTEXT, drive, expectOrder, join, wanting } from '../../../contract/provider.contract.ts'

/** Defects of the field (docs/field-defects-aws.md) that no other test of the provider is about. */

/** One call of somebody else. @returns the answer's text */
async function call(world: AWSWorld, action: string, parameters: Readonly<Record<string, string>>): Promise<string> {
  const body = new URLSearchParams({ Action: action, Version: '2016-11-15', ...parameters }).toString()
  const authorization = 'AWS4-HMAC-SHA256 Credential=other/20260101/us-east-1/ec2/aws4_request'
  const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
  const request = { method: 'POST', path: '/', query: new URLSearchParams(), headers, body }
  const answer = await world.simulator.router(request, new AbortController().signal)
  if (answer.status !== 200 || typeof answer.body !== 'string') throw new Error(`${action}: status ${answer.status}`)
  return answer.body
}

const idIn = (answer: string, name: string): string => new RegExp(`<${name}>([^<]+)`).exec(answer)?.[1] ?? ''

test('of an account with many VPCs only the own one is read', async () => {
  const world = await makeAWSWorld()
  const vpcID = idIn(await call(world, 'CreateVpc', { CidrBlock: '10.9.0.0/16' }), 'vpcId')
  await call(world, 'CreateSubnet', { VpcId: vpcID, CidrBlock: '10.9.0.0/24' })
  await call(world, 'CreateSecurityGroup', { VpcId: vpcID, GroupName: 'other', GroupDescription: 'other' })
  await drive(world, world.provider.resync(CONTEXT))
  expect([...world.provider.getPoolQuota().keys()]).toEqual([SUBNET_ID])
})

test('a route table that names subnets which the filters hide harms nobody', async () => {
  const hidden = { subnetId: 'subnet-0000000000000002b', cidrBlock: '10.0.8.0/24' }
  const world = await makeAWSWorld({ config: { subnetIDsFilter: [SUBNET_ID] }, otherSubnets: [hidden] })
  const routeTableID = idIn(await call(world, 'CreateRouteTable', { VpcId: VPC_ID }), 'routeTableId')
  for (const SubnetId of [SUBNET_ID, hidden.subnetId])
    await call(world, 'AssociateRouteTable', { RouteTableId: routeTableID, SubnetId })
  world.leaveAddresses(5)
  const joined = await join(world)
  await drive(world, world.provider.resync(CONTEXT))
  const outcome = await drive(world, joined.node.createInterface!(wanting(joined.node, 2), CONTEXT))
  expect(outcome).toMatchObject({ kind: 'created', poolID: SUBNET_ID })
})

test('an interface is attached to card 0 by name, so that the index of another card does not count', async () => {
  const world = await makeAWSWorld({ instanceType: 'c6in.32xlarge', settings: { networkCardDefect: true } })
  const joined = await join(world)
  const { cloud } = world.simulator
  const elsewhere = makeInterface(cloud, {
    subnet: cloud.subnet(SUBNET_ID),
    interfaceType: 'interface',
    description: 'of another card',
    groups: [],
    tags: new Map(),
    primary: undefined,
    ipv4: { addresses: [], addressCount: 0, prefixes: [], prefixCount: 0 },
    ipv6: { addressCount: 0, prefixCount: 0 },
  })
  const instance = cloud.instance(joined.instanceID)
  attachInterface(cloud, { iface: elsewhere, instance, deviceIndex: 1, networkCardIndex: 1 })
  await drive(world, joined.node.createInterface!(wanting(joined.node, 2), CONTEXT))
  expect(world.simulator.calls.report().actions['AttachNetworkInterface']).toMatchObject({ attempts: 1, failed: 0 })
  const attachments = world.account().networkInterfaces.map(({ attachment }) => attachment)
  expect(attachments.filter((one) => one?.deviceIndex === 1).map((one) => one?.networkCardIndex)).toEqual([1, 0])
  await expectOrder(world, joined)
})

test('the fall-back asks for no more single addresses than there are slots', async () => {
  const world = await makeAWSWorld({ config: { prefixDelegation: true } })
  const joined = await join(world)
  await drive(world, joined.node.allocateIPs(wanting(joined.node, 8 * 16), CONTEXT))
  occupyAddresses(world.simulator.cloud, { subnetId: SUBNET_ID, fragment: true })
  const outcome = await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
  expect(outcome).toEqual({ kind: 'allocated', addressCount: 1 })
  expect(world.violations()).toEqual([])
})

test('without a slot the fall-back asks for nothing, and says that the interface is full', async () => {
  const world = await makeAWSWorld({ config: { prefixDelegation: true } })
  const joined = await join(world)
  const action = wanting(joined.node, 9 * 16)
  await drive(world, joined.node.allocateIPs(action, CONTEXT))
  world.simulator.faults.set(
    parseFaults({
      rules: [{ action: 'AssignPrivateIpAddresses', kind: 'error', code: 'InsufficientCidrBlocks', status: 400 }],
    }),
  )
  const attempts = (): number => world.simulator.calls.counts('AssignPrivateIpAddresses').attempts
  const before = attempts()
  const again = { ...action, ipv4: { ...action.ipv4, availableForAllocation: 5 } }
  const outcome = await drive(world, joined.node.allocateIPs(again, CONTEXT))
  expect(outcome).toMatchObject({ kind: 'failed', error: { kind: 'exhausted', reason: 'prefixExhausted' } })
  expect(attempts() - before).toBe(1)
})

test('why a node gets no prefixes is said once, and once more when that is over', async () => {
  const lines: unknown[] = []
  const log = (fields: object, message: string): void =>
    void lines.push([message, (fields as { reason?: string }).reason])
  const world = await makeAWSWorld({
    config: { prefixDelegation: true },
    log: { debug: () => undefined, info: log, warn: () => undefined, error: () => undefined },
  })
  const joined = await join(world)
  lines.length = 0
  const interfaceID = joined.node.prepareIPAllocation().interfaceID
  const [address = ''] = await world.api.assignPrivateIPAddresses(interfaceID, 1, CONTEXT)
  await drive(world, world.provider.instanceSync(joined.instanceID, CONTEXT))
  for (let pass = 0; pass < 3; pass++) joined.node.resyncInterfacesAndIPs()
  await world.api.unassignPrivateIPAddresses(interfaceID, [address], CONTEXT)
  await drive(world, world.provider.instanceSync(joined.instanceID, CONTEXT))
  for (let pass = 0; pass < 3; pass++) joined.node.resyncInterfacesAndIPs()
  expect(lines).toEqual([
    ['The node gets single addresses, not prefixes', 'an interface has single addresses only'],
    ['The node gets prefixes again', undefined],
  ])
})
