import { ManualClock } from '../../../../simulators/kit/manual-clock.ts'
import { createEC2Simulator } from '../../../../simulators/aws/index.ts'
import type { EC2SimulatorOptions } from '../../../../simulators/aws/index.ts'

/** Ids of the world below. */
export const VPC = 'vpc-00000000000000001'
export const GROUP = 'sg-00000000000000001'
/** A /24 in us-east-1a, a /28 in us-east-1a, a /24 in us-east-1b (dual-stack). */
export const SUBNET = 'subnet-00000000000000001'
export const TINY = 'subnet-00000000000000002'
export const OTHER_ZONE = 'subnet-00000000000000003'

export const WORLD = {
  vpcs: [{ vpcId: VPC, cidrBlock: '10.0.0.0/16' }],
  securityGroups: [
    { groupId: 'sg-00000000000000000', vpcId: VPC, groupName: 'default' },
    { groupId: GROUP, vpcId: VPC, groupName: 'nodes' },
  ],
  subnets: [
    { subnetId: SUBNET, vpcId: VPC, cidrBlock: '10.0.0.0/24', availabilityZone: 'us-east-1a' },
    { subnetId: TINY, vpcId: VPC, cidrBlock: '10.0.1.0/28', availabilityZone: 'us-east-1a' },
    {
      subnetId: OTHER_ZONE,
      vpcId: VPC,
      cidrBlock: '10.0.2.0/24',
      ipv6CidrBlock: '2600:1f13:a:b::/64',
      availabilityZone: 'us-east-1b',
    },
  ],
}

export type Parameters = Readonly<Record<string, string | number | boolean>>

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly xml: string
  /** Code and text of an error answer. */
  readonly code: string | undefined
  readonly message: string | undefined
  /** Texts of all elements of this name, in order. */
  all(name: string): readonly string[]
  /** The first of them. Throws when there is none. */
  one(name: string): string
}

export const SIGNED = {
  authorization:
    'AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0',
}

/** A simulator on a manual clock, without throttling and delays unless the options say otherwise. */
export function startSimulator(options: EC2SimulatorOptions = {}) {
  const clock = new ManualClock()
  const simulator = createEC2Simulator({
    clock,
    throttle: 'none',
    world: WORLD,
    ...options,
    settings: { attachMs: { min: 0, max: 0 }, detachMs: { min: 0, max: 0 }, ...options.settings },
  })
  const send = async (body: string, headers: Record<string, string> = SIGNED): Promise<Answer> => {
    const request = { method: 'POST', path: '/', query: new URLSearchParams(), headers, body }
    const response = await simulator.router(request, new AbortController().signal)
    if (typeof response.body !== 'string') throw new Error('the answer is a stream')
    return answerOf(response.status, response.headers, response.body)
  }
  /** Calls an action; parameters by their names on the wire. */
  const call = (action: string, parameters: Parameters = {}): Promise<Answer> =>
    send(new URLSearchParams(texts({ Action: action, Version: '2016-11-15', ...parameters })).toString())
  /** As `call`, and fails the test when the answer is an error. */
  const ok = async (action: string, parameters: Parameters = {}): Promise<Answer> => {
    const answer = await call(action, parameters)
    if (answer.status !== 200) throw new Error(`${action}: ${answer.code} ${answer.message}`)
    return answer
  }
  /** Calls the control door. */
  const control = async (method: string, path: string, body?: unknown) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const request = { method, path, query: new URLSearchParams(), headers: {}, body: text }
    const response = await simulator.router(request, new AbortController().signal)
    if (typeof response.body !== 'string') throw new Error('the answer is a stream')
    return { status: response.status, body: JSON.parse(response.body) }
  }
  /** An instance and its primary interface. */
  const launch = (instanceType = 'm5.large', subnetId = SUBNET) => {
    const [made] = simulator.makeInstances({ instanceType, subnetId, count: 1 }).instances
    if (made === undefined) throw new Error('nothing was made')
    return { instanceID: made.instanceId, interfaceID: made.networkInterfaceId, address: made.privateIpAddress }
  }
  /** A loose interface. @returns its id */
  const create = async (parameters: Parameters = {}): Promise<string> =>
    (await ok('CreateNetworkInterface', { SubnetId: SUBNET, ...parameters })).one('networkInterfaceId')
  const attach = async (interfaceID: string, instanceID: string, deviceIndex: number): Promise<string> =>
    (
      await ok('AttachNetworkInterface', {
        NetworkInterfaceId: interfaceID,
        InstanceId: instanceID,
        DeviceIndex: deviceIndex,
      })
    ).one('attachmentId')
  /** `availableIpAddressCount` as listed. */
  const free = async (subnetID = SUBNET): Promise<number> =>
    Number((await ok('DescribeSubnets', { 'SubnetId.1': subnetID })).one('availableIpAddressCount'))
  return { simulator, clock, send, call, ok, control, launch, create, attach, free }
}

function texts(parameters: Parameters): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, String(value)]))
}

export function answerOf(status: number, headers: Readonly<Record<string, string>>, xml: string): Answer {
  const all = (name: string): string[] =>
    [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => match[1] ?? '')
  return {
    status,
    headers,
    xml,
    code: all('Code')[0],
    message: all('Message')[0]?.replaceAll('&apos;', "'"),
    all,
    one(name) {
      const [first] = all(name)
      if (first === undefined) throw new Error(`no ${name} in ${xml}`)
      return first
    },
  }
}

/** `Name.1`, `Name.2`, … */
export function numbered(name: string, values: readonly string[]): Parameters {
  return Object.fromEntries(values.map((value, index) => [`${name}.${index + 1}`, value]))
}

/** `Filter.1.Name`, `Filter.1.Value.1`, … */
export function filters(given: Readonly<Record<string, string | readonly string[]>>): Parameters {
  const parameters: Record<string, string> = {}
  Object.entries(given).forEach(([name, values], index) => {
    parameters[`Filter.${index + 1}.Name`] = name
    const list = typeof values === 'string' ? [values] : values
    list.forEach((value, at) => (parameters[`Filter.${index + 1}.Value.${at + 1}`] = value))
  })
  return parameters
}
