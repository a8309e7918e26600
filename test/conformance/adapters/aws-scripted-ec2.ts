import type { EC2Client } from '@aws-sdk/client-ec2'

/** A command as the SDK is given it: the action and its parameters. */
export interface ScriptedCall {
  readonly action: string
  // The parameters of every action differ; tests name the ones they look at.
  readonly input: Readonly<Record<string, unknown>>
}

/** What a call answers: an output, or an error to throw. Undefined leaves it to the next in line. */
export type Responder = (call: ScriptedCall) => object | Error | undefined

/** An error as the SDK throws it for a refusal by EC2. */
export function ec2Error(
  code: string,
  message: string,
  httpStatusCode = code === 'RequestLimitExceeded' ? 503 : 400,
): Error {
  return Object.assign(new Error(message), {
    name: code,
    $fault: httpStatusCode >= 500 ? 'server' : 'client',
    $metadata: { httpStatusCode, attempts: 1 },
  })
}

/** An error as the SDK throws it when the connection broke: the call may have had its effect. */
export function lostAnswer(): Error {
  return Object.assign(new Error('socket hang up'), {
    name: 'TimeoutError',
    code: 'ECONNRESET',
    $metadata: { attempts: 1 },
  })
}

/**
 * Stands in for an `EC2Client`: records what it is sent, and answers from a responder, else plausibly. It knows no rules of
 * EC2; for those there is the simulator.
 */
export class ScriptedEC2 {
  readonly calls: ScriptedCall[] = []
  readonly client: Pick<EC2Client, 'send'>
  /** What answers first. Replaced at will. */
  respond: Responder
  #given = 0

  constructor(respond: Responder = () => undefined) {
    this.respond = respond
    const send = (command: object): Promise<object> => this.#answer(command)
    this.client = { send }
  }

  /** The actions called so far, in order. */
  get actions(): readonly string[] {
    return this.calls.map(({ action }) => action)
  }

  /** Calls of one action. */
  callsOf(action: string): readonly ScriptedCall[] {
    return this.calls.filter((call) => call.action === action)
  }

  async #answer(command: object): Promise<object> {
    const action = command.constructor.name.replace(/Command$/, '')
    const call = { action, input: (command as { input: Record<string, unknown> }).input }
    this.calls.push(call)
    await Promise.resolve()
    const answer = this.respond(call) ?? this.#plausible(call)
    if (answer instanceof Error) throw answer
    return answer
  }

  #plausible({ action, input }: ScriptedCall): object {
    switch (action) {
      case 'DescribeVpcs':
        return { Vpcs: [] }
      case 'DescribeSubnets':
        return { Subnets: [] }
      case 'DescribeRouteTables':
        return { RouteTables: [] }
      case 'DescribeSecurityGroups':
        return { SecurityGroups: [] }
      case 'GetSecurityGroupsForVpc':
        return { SecurityGroupForVpcs: [] }
      case 'DescribeNetworkInterfaces':
        return { NetworkInterfaces: [] }
      case 'DescribeInstances':
        return { Reservations: [] }
      case 'DescribeInstanceTypes':
        return { InstanceTypes: [] }
      case 'DescribeAddresses':
        return { Addresses: [] }
      case 'CreateNetworkInterface':
        return { NetworkInterface: this.#created(input) }
      case 'AttachNetworkInterface':
        return { AttachmentId: `eni-attach-${String(input['NetworkInterfaceId'])}` }
      case 'AssignPrivateIpAddresses':
        return {
          AssignedPrivateIpAddresses: this.#addresses(input['SecondaryPrivateIpAddressCount']),
          AssignedIpv4Prefixes: this.#prefixes(input['Ipv4PrefixCount']),
        }
      case 'AssignIpv6Addresses':
        return { AssignedIpv6Prefixes: ['fd00:0:0:1:1::/80'] }
      case 'AssociateAddress':
        return { AssociationId: 'eipassoc-1' }
      default:
        return {}
    }
  }

  #created(input: Readonly<Record<string, unknown>>): object {
    const [primary] = this.#addresses(1)
    return {
      NetworkInterfaceId: `eni-new-${++this.#given}`,
      PrivateIpAddress: primary?.PrivateIpAddress,
      PrivateIpAddresses: [{ ...primary, Primary: true }, ...this.#addresses(input['SecondaryPrivateIpAddressCount'])],
      Ipv4Prefixes: this.#prefixes(input['Ipv4PrefixCount']),
      SubnetId: input['SubnetId'],
      Description: input['Description'],
    }
  }

  #addresses(count: unknown): { PrivateIpAddress: string }[] {
    return Array.from({ length: Number(count ?? 0) }, () => {
      const number = ++this.#given
      return { PrivateIpAddress: `10.200.${Math.floor(number / 250)}.${1 + (number % 250)}` }
    })
  }

  #prefixes(count: unknown): { Ipv4Prefix: string }[] {
    return Array.from({ length: Number(count ?? 0) }, () => {
      const number = ++this.#given
      return { Ipv4Prefix: `10.201.${Math.floor(number / 16)}.${(number % 16) * 16}/28` }
    })
  }
}
