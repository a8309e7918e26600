/**
 * Where the form of an error comes from: `documentation` (Amazon EC2 API Reference, error codes), `logs` (answers of the real service
 * quoted in public reports; text literal), `assumed` (the code is documented, its text or its use here is our guess; DIFFERENCES.md).
 */
type ErrorSource = 'documentation' | 'logs' | 'assumed'

interface ErrorForm {
  /** HTTP status. */
  readonly status: number
  readonly source: ErrorSource
  readonly message: (...parts: string[]) => string
}

const notFound = (
  noun: string,
  source: ErrorSource = 'documentation',
): ErrorForm & { message: (id: string) => string } => ({
  status: 400,
  source,
  message: (id) => `The ${noun} '${id}' does not exist`,
})
const malformed = (source: ErrorSource = 'documentation'): ErrorForm & { message: (id: string) => string } => ({
  status: 400,
  source,
  message: (id) => `Invalid id: "${id}"`,
})
const given = (status: number, source: ErrorSource): ErrorForm & { message: (text: string) => string } => ({
  status,
  source,
  message: (text) => text,
})

/** Every error that the simulator can answer by itself, with its HTTP status, its text and where they come from. */
const FORMS = {
  // The request as such
  InvalidAction: {
    status: 400,
    source: 'documentation',
    message: (action: string) => `The action ${action} is not valid for this web service.`,
  },
  NotImplemented: given(501, 'assumed'),
  NoSuchVersion: {
    status: 400,
    source: 'assumed',
    message: (version: string) => `The requested version (${version}) of service AmazonEC2 does not exist`,
  },
  MissingParameter: {
    status: 400,
    source: 'documentation',
    message: (name: string) => `The request must contain the parameter ${name}`,
  },
  UnknownParameter: {
    status: 400,
    source: 'documentation',
    message: (name: string) => `The parameter ${name} is not recognized`,
  },
  InvalidParameterValue: given(400, 'documentation'),
  InvalidParameterCombination: given(400, 'documentation'),
  InvalidFilter: { status: 400, source: 'documentation', message: (name: string) => `The filter '${name}' is invalid` },
  FilterLimitExceeded: given(400, 'documentation'),
  InvalidNextToken: {
    status: 400,
    source: 'documentation',
    message: (token: string) => `The token '${token}' is invalid`,
  },
  IdempotentParameterMismatch: {
    status: 400,
    source: 'documentation',
    message: () => 'The specified client token was already used with different parameters',
  },
  DryRunOperation: {
    status: 412,
    source: 'documentation',
    message: () => 'Request would have succeeded, but DryRun flag is set.',
  },

  // Who asks, and how often
  AuthFailure: {
    status: 401,
    source: 'documentation',
    message: () => 'AWS was not able to validate the provided access credentials',
  },
  RequestExpired: {
    status: 400,
    source: 'documentation',
    message: () => 'Request has expired.',
  },
  UnauthorizedOperation: {
    status: 403,
    source: 'logs',
    message: () => 'You are not authorized to perform this operation.',
  },
  RequestLimitExceeded: { status: 503, source: 'logs', message: () => 'Request limit exceeded.' },
  OperationNotPermitted: given(400, 'logs'),

  // Addresses
  InsufficientFreeAddressesInSubnet: {
    status: 400,
    source: 'logs',
    message: () => 'The specified subnet does not have enough free addresses to satisfy the request.',
  },
  InsufficientCidrBlocks: {
    status: 400,
    source: 'logs',
    message: () => 'The specified subnet does not have enough free cidr blocks to satisfy the request.',
  },
  PrivateIpAddressLimitExceeded: {
    status: 400,
    source: 'logs',
    message: () => 'Number of private addresses will exceed limit.',
  },
  'InvalidIPAddress.InUse': {
    status: 400,
    source: 'assumed',
    message: (address: string) => `The specified address ${address} is already in use.`,
  },

  // Interfaces and attachments
  'InvalidNetworkInterfaceID.NotFound': notFound('networkInterface ID', 'logs'),
  'InvalidNetworkInterfaceId.Malformed': malformed(),
  'InvalidNetworkInterface.InUse': {
    status: 400,
    source: 'logs',
    message: (id: string) => `Interface: [${id}] in use.`,
  },
  'InvalidInterface.IpAddressLimitExceeded': {
    status: 400,
    source: 'logs',
    message: (count: string, id: string, type: string) =>
      `Address count ${count} on interface-${id} exceeds the limit for ${type}`,
  },
  AttachmentLimitExceeded: {
    status: 400,
    source: 'logs',
    message: (count: string, type: string) => `Interface count ${count} exceeds the limit for ${type}`,
  },
  NetworkInterfaceLimitExceeded: {
    status: 400,
    source: 'documentation',
    message: () => 'The maximum number of network interfaces has been reached.',
  },
  'InvalidAttachmentID.NotFound': notFound('network interface attachment'),
  'InvalidNetworkInterfaceAttachmentId.Malformed': malformed(),

  // Instances
  'InvalidInstanceID.NotFound': {
    status: 400,
    source: 'logs',
    message: (id: string) => `The instance ID '${id}' does not exist`,
  },
  'InvalidInstanceID.Malformed': malformed(),
  InvalidInstanceID: {
    status: 400,
    source: 'logs',
    message: (id: string) =>
      `There are multiple interfaces attached to instance '${id}'. Please specify an interface ID for the operation instead.`,
  },
  IncorrectState: {
    status: 400,
    source: 'assumed',
    message: (id: string) => `Instance '${id}' is not 'running' or 'stopped'.`,
  },
  IncorrectInstanceState: given(400, 'documentation'),
  InvalidInstanceType: {
    status: 400,
    source: 'documentation',
    message: (type: string) => `The following supplied instance types do not exist: [${type}]`,
  },

  // Networks
  'InvalidVpcID.NotFound': notFound('vpc ID', 'logs'),
  'InvalidVpcId.Malformed': malformed('assumed'),
  'InvalidVpc.Range': {
    status: 400,
    source: 'documentation',
    message: (cidr: string) => `The CIDR '${cidr}' is invalid.`,
  },
  'InvalidSubnetID.NotFound': notFound('subnet ID', 'logs'),
  'InvalidSubnetID.Malformed': malformed(),
  'InvalidSubnet.Range': {
    status: 400,
    source: 'documentation',
    message: (cidr: string) => `The CIDR '${cidr}' is invalid.`,
  },
  'InvalidSubnet.Conflict': {
    status: 400,
    source: 'documentation',
    message: (cidr: string) => `The CIDR '${cidr}' conflicts with another subnet`,
  },
  SubnetLimitExceeded: {
    status: 400,
    source: 'documentation',
    message: () => 'The maximum number of subnets has been reached.',
  },
  'InvalidSubnetCidrReservationID.NotFound': notFound('subnet CIDR reservation ID', 'assumed'),
  'InvalidRouteTableID.NotFound': notFound('routeTable ID'),
  'InvalidRouteTableId.Malformed': malformed(),
  'InvalidGroup.NotFound': notFound('security group', 'logs'),
  'InvalidGroupId.Malformed': malformed(),
  'InvalidGroup.Duplicate': {
    status: 400,
    source: 'documentation',
    message: (name: string, vpc: string) => `The security group '${name}' already exists for VPC '${vpc}'`,
  },
  SecurityGroupsPerInterfaceLimitExceeded: {
    status: 400,
    source: 'documentation',
    message: () => 'The maximum number of security groups per interface has been reached.',
  },

  // Elastic IP addresses
  'InvalidAllocationID.NotFound': {
    status: 400,
    source: 'logs',
    message: (id: string) => `Allocation ID '${id}' not found.`,
  },
  'InvalidAllocationId.Malformed': malformed('assumed'),
  'InvalidAddress.NotFound': {
    status: 400,
    source: 'documentation',
    message: (address: string) => `Address '${address}' not found.`,
  },
  AddressLimitExceeded: {
    status: 400,
    source: 'documentation',
    message: () => 'The maximum number of addresses has been reached.',
  },
  'Resource.AlreadyAssociated': {
    status: 400,
    source: 'documentation',
    message: (id: string, association: string) =>
      `resource ${id} is already associated with associate-id ${association}`,
  },

  // Tags
  InvalidID: { status: 400, source: 'documentation', message: (id: string) => `The ID '${id}' is not valid` },
  TagLimitExceeded: {
    status: 400,
    source: 'documentation',
    message: () => 'The maximum number of Tags for a resource has been reached.',
  },
} as const satisfies Readonly<Record<string, ErrorForm>>

export type EC2ErrorCode = keyof typeof FORMS

/** An answer with an error: what the client finds in `Errors/Error` of the body. */
export class EC2Error extends Error {
  readonly code: string
  /** HTTP status. */
  readonly status: number

  constructor(code: string, status: number, message: string) {
    super(message)
    this.name = 'EC2Error'
    this.code = code
    this.status = status
  }
}

/** The error of this code, its text made from the parts that the code's form asks for. */
export function fault<Code extends EC2ErrorCode>(
  code: Code,
  ...parts: Parameters<(typeof FORMS)[Code]['message']>
): EC2Error {
  const form: ErrorForm = FORMS[code]
  return new EC2Error(code, form.status, form.message(...parts))
}

/** Codes with status and source, for documentation and its test. */
export function errorForms(): readonly { code: string; status: number; source: ErrorSource }[] {
  return Object.entries(FORMS).map(([code, { status, source }]) => ({ code, status, source }))
}

/** `InvalidParameterValue` for a device index that is taken. Text literal, from logs: clients read it. */
export function deviceIndexTaken(instanceID: string, deviceIndex: number): EC2Error {
  return fault(
    'InvalidParameterValue',
    `Instance '${instanceID}' already has an interface attached at device index '${deviceIndex}'.`,
  )
}

/** `InvalidParameterValue` for prefixes in a subnet with too few free addresses. Text literal, from logs: clients read it. */
export function insufficientAddressesForPrefixes(): EC2Error {
  return fault('InvalidParameterValue', "There aren't sufficient free Ipv4 addresses or prefixes")
}

/** `InvalidParameterValue` for deleting an attached interface. Text literal, from logs. */
export function interfaceInUse(id: string): EC2Error {
  return fault('InvalidParameterValue', `Network interface '${id}' is currently in use.`)
}
