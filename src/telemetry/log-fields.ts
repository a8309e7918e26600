/** Every field of a log line, one line each: name and meaning. `time`, `level` and `msg` are pino's own. */
export const LOG_FIELDS = {
  // what the line is about
  node: 'name of the CiliumNode',
  pod: 'namespace/name of the pod, or what else holds an address',
  instanceID: "the cloud's ID of the node's machine",
  instanceType: "the cloud's name of the machine's kind",
  interfaceID: 'network interface',
  attachmentID: 'attachment of an interface to an instance',
  index: 'device index of an interface (index)',
  poolID: "subnet, or the cloud's single pool",
  subnetID: 'subnet',
  virtualNetworkID: 'VPC or virtual network',
  nodeSubnetID: "subnet of the node's first interface",
  tags: 'tags that were looked for or set',
  securityGroupIDs: 'security groups (list)',
  availabilityZone: 'zone of a subnet',
  address: 'one address, or a listening address',
  addresses: 'addresses (list, shortened)',
  pool: 'IP pool that pods draw on',
  device: 'network device of the node',
  family: 'address family',
  cidr: 'one CIDR or delegated prefix',
  cidrs: 'CIDRs or delegated prefixes (list, shortened)',
  resource: 'name of a Kubernetes resource that is not a CiliumNode',
  field: 'path of a field of a resource',
  resourceVersion: 'version of a Kubernetes resource',
  lease: 'name of the leader-election lease',
  identity: 'who holds or wants the lease, or wrote a field',
  // what was decided or done
  action: "the cloud's action, or the step of a plan",
  reason: 'why, a constant phrase',
  priority: 'class of the call in the API budget',
  trigger: 'what woke the run',
  count: 'how many of what the message names (count)',
  wanted: 'how many were wanted (count)',
  missing: 'what was looked for and not found (count or list)',
  attempt: 'which attempt, from 1',
  generation: "generation of the node's agent",
  profile: 'whose arithmetic is followed',
  status: 'state or HTTP status',
  result: 'how a step ended, a constant word',
  isRunning: 'whether the cloud says that the instance runs',
  // numbers of a node
  usedIPs: 'addresses held by pods (count)',
  availableIPs: 'addresses attached and open to pods (count)',
  neededIPs: 'addresses missing (count)',
  excessIPs: 'addresses too many (count)',
  // time and limits
  durationMs: 'how long it took (ms)',
  waitedMs: 'how long a call waited for its tokens (ms)',
  delayMs: 'when it is tried again, from now (ms)',
  bucket: 'bucket of the API budget',
  pageSize: 'entries asked for at once (count)',
  limit: 'a limit that was met (count)',
  suppressed: 'repetitions of this warning that were left out since the last one (count)',
  // the world outside
  cloud: 'name of the cloud',
  region: 'region of the cloud account',
  endpoint: 'URL of a server',
  path: 'path of a request or of a file',
  option: 'name of a command-line option',
  faults: 'what is wrong with an input (list)',
  signal: 'signal of the operating system',
  version: 'version of the program',
  nodes: 'nodes (count)',
  // failures
  error: 'what was thrown: type, message, code, kind, stack and chain of causes',
} as const satisfies Readonly<Record<string, string>>

export type LogField = keyof typeof LOG_FIELDS

/** The fields of one line; `log.info({ node, count } satisfies LogFields, 'Assigned addresses')` checks their names. */
export type LogFields = { readonly [Field in LogField]?: unknown }
