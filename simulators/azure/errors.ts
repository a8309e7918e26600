import type { OperationError } from './cloud/types.ts'

/** An answer that is an error: HTTP status and the body's `error`. */
export class ARMError extends Error {
  readonly code: string
  readonly status: number
  readonly details: OperationError['details']
  readonly headers: Readonly<Record<string, string>>
  /** Compute answers its throttling without the outer `error` object. */
  readonly bare: boolean
  /** Turned away by a bucket, not by a rule. */
  readonly throttled: boolean

  constructor(
    code: string,
    status: number,
    message: string,
    more: {
      readonly details?: OperationError['details']
      readonly headers?: Readonly<Record<string, string>>
      readonly bare?: boolean
      readonly throttled?: boolean
    } = {},
  ) {
    super(message)
    this.name = 'ARMError'
    this.code = code
    this.status = status
    this.details = more.details
    this.headers = more.headers ?? {}
    this.bare = more.bare ?? false
    this.throttled = more.throttled ?? false
  }

  /** The body's text. */
  toBody(): string {
    const error = {
      code: this.code,
      message: this.message,
      ...(this.details === undefined ? {} : { details: this.details }),
    }
    return JSON.stringify(this.bare ? error : { error })
  }

  /** As the error of a failed operation. */
  toOperationError(): OperationError {
    return {
      code: this.code,
      message: this.message,
      ...(this.details === undefined ? {} : { details: this.details }),
    }
  }
}

/**
 * What the service refuses, with status and text. Source of each: R recorded in public issues of clients; D Azure documentation;
 * A assumed here (code, status or text), listed in DIFFERENCES.md.
 */
const FAULTS = {
  AuthenticationFailed: [401, () => "Authentication failed. The 'Authorization' header is missing."], // R
  InvalidAuthenticationToken: [401, () => 'The access token is invalid.'], // R
  ExpiredAuthenticationToken: [401, () => 'The access token expiry UTC time is earlier than current UTC time.'], // R
  AuthorizationFailed: [
    403, // R
    (client: string, action: string, scope: string) =>
      `The client '${client}' with object id '${client}' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
  ],
  LinkedAuthorizationFailed: [
    403, // R (Cilium issue 19695)
    (client: string, scope: string, linked: string) =>
      `The client '${client}' with object id '${client}' has permission to perform action 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/write' on scope '${scope}'; however, it does not have permission to perform action 'Microsoft.Compute/galleries/images/versions/read' on the linked scope(s) '${linked}' or the linked scope(s) are invalid.`,
  ],
  MissingApiVersionParameter: [
    400, // R
    () => 'The api-version query parameter (?api-version=) is required for all requests.',
  ],
  InvalidApiVersionParameter: [400, (version: string) => `The api-version '${version}' is invalid.`], // R
  InvalidRequestContent: [
    400, // R
    (why: string) => `The request content was invalid and could not be deserialized: '${why}'.`,
  ],
  SubscriptionNotFound: [404, (id: string) => `The subscription '${id}' could not be found.`], // R
  ResourceGroupNotFound: [404, (name: string) => `Resource group '${name}' could not be found.`], // R
  ResourceNotFound: [
    404, // R
    (resource: string, group: string) =>
      `The Resource '${resource}' under resource group '${group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  ],
  ParentResourceNotFound: [
    404, // R
    (resource: string) =>
      `Failed to perform 'read' on resource(s) of type '${resource}', because the parent resource could not be found.`,
  ],
  NotFound: [404, (what: string) => `${what} was not found.`], // R (text A)
  InvalidResourceType: [404, (what: string) => `The resource type could not be found: ${what}.`], // R (text A)
  MethodNotAllowed: [405, (method: string) => `The HTTP method ${method} is not supported here.`], // A
  NotImplemented: [501, (what: string) => `This simulator does not implement ${what}.`], // of the simulator alone
  PreconditionFailed: [
    412, // R
    (given: string, current: string) =>
      `Etag provided in if-match header ${given} does not match etag ${current} of resource.`,
  ],
  AnotherOperationInProgress: [
    409, // R
    (id: string) =>
      `Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri of ${id}.`,
  ],
  Conflict: [
    409, // R
    () =>
      'The request failed due to conflict with a concurrent request. To resolve it, please refer to https://aka.ms/activitylog to get more details on the conflicting requests.',
  ],
  LocationRequired: [400, () => 'The location property is required for this definition.'], // R
  InvalidResourceLocation: [
    409, // R
    (name: string, location: string, given: string) =>
      `The resource '${name}' already exists in location '${location}'. A resource with the same name cannot be created in location '${given}'. Please select a new resource name.`,
  ],
  InvalidResourceReference: [
    400, // R
    (id: string, from: string) =>
      `Resource ${id} referenced by resource ${from} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`,
  ],
  SubnetIsFull: [
    400, // R
    (name: string, cidr: string, count: string) =>
      `Subnet ${name} with address prefix ${cidr} does not have enough capacity for ${count} IP addresses.`,
  ],
  PrivateIPAddressInUse: [
    400, // R
    (address: string, id: string) =>
      `IP configuration ${id} is using the private IP address ${address} which is already allocated to resource.`,
  ],
  PrivateIPAddressNotInSubnet: [
    400, // R
    (address: string, prefix: string) =>
      `Private static IP address ${address} does not belong to the range of subnet prefix ${prefix}.`,
  ],
  PrivateIPAddressInReservedRange: [
    400, // R
    (address: string, prefix: string) =>
      `Private static IP address ${address} falls within reserved IP range of subnet prefix ${prefix}.`,
  ],
  IpConfigurationsOnSameNicCannotUseDifferentSubnets: [
    400, // A
    (id: string) => `IP configurations on ${id} cannot use different subnets.`,
  ],
  VMScaleSetIpConfigurationsOnSameNicCannotUseDifferentSubnets: [
    400, // R (text A)
    (id: string) => `IP configurations on ${id} of the scale set cannot use different subnets.`,
  ],
  NetworkInterfaceCountLimitReached: [
    400, // A
    (limit: string) => `Cannot create more than ${limit} network interfaces for this subscription in this region.`,
  ],
  QuotaExceeded: [400, (what: string) => `Quota exceeded: ${what}.`], // A
  PublicIPCountLimitReached: [400, (limit: string) => `Cannot use more than ${limit} public IP addresses.`], // A
  PublicIPAddressInUse: [
    400, // R
    (id: string, by: string) => `Resource ${id} is already in use by ${by}.`,
  ],
  PublicIpPrefixOutOfIpAddressesForVMScaleSet: [
    400, // R (text A)
    (id: string) => `Public IP prefix ${id} has no free public IP addresses left for the scale set.`,
  ],
  PublicIpPrefixOutOfIpAddresses: [400, (id: string) => `Public IP prefix ${id} has no free addresses left.`], // A
  InvalidParameter: [400, (why: string) => why], // R
  OperationNotAllowed: [409, (why: string) => why], // R
  NicInUse: [
    400, // R
    (nic: string, vm: string) => `Network Interface ${nic} is used by existing resource ${vm}.`,
  ],
} as const satisfies Record<string, readonly [number, (...args: string[]) => string]>

export type FaultCode = keyof typeof FAULTS

/** An error of the table. */
export function fault<C extends FaultCode>(code: C, ...args: Parameters<(typeof FAULTS)[C][1]>): ARMError {
  const [status, text] = FAULTS[code]
  return new ARMError(code, status, text(...(args as [string, string, string])))
}

/** 429 for a temporary lock: something that the write refers to is being changed. Not throttling. */
export function retryableError(resource: string, operation: string): ARMError {
  return new ARMError('RetryableError', 429, 'A retryable error occurred.', {
    details: [
      {
        code: 'ReferencedResourceNotProvisioned',
        message: `Cannot proceed with operation because resource ${resource} used by resource ${resource} is not in Succeeded state. Resource is in Updating state and the last operation that updated/is updating the resource is ${operation}.`,
      },
    ],
    headers: { 'retry-after': '10' },
  })
}

/** How a superseded operation ends. */
export const SUPERSEDED: OperationError = {
  code: 'Canceled',
  message: 'Operation was canceled.',
  details: [
    {
      code: 'CanceledAndSupersededDueToAnotherOperation',
      message: 'Operation was canceled and superseded by a newer operation on the same resource.',
    },
  ],
}
