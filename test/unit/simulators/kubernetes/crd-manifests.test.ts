import { describe, expect, test } from 'vitest'
import { readCRDManifests } from '../../../../simulators/kubernetes/manifests.ts'
import { Harness, NODES } from './harness.ts'
import type { Answer } from './harness.ts'

/** The definitions that this project ships, against what agents of all supported generations write. */

const manifests = new Map(readCRDManifests().map((one): [string, Answer] => [(one as Answer).metadata.name, one]))

describe('identity', () => {
  test.each([
    {
      name: 'ciliumnodes.cilium.io',
      version: 'v2',
      kind: 'CiliumNode',
      shortNames: ['cn', 'ciliumn'],
      hasStatus: true,
    },
    {
      name: 'ciliumpodippools.cilium.io',
      version: 'v2alpha1',
      kind: 'CiliumPodIPPool',
      shortNames: ['cpip'],
      hasStatus: false,
    },
  ])('$name', ({ name, version, kind, shortNames, hasStatus }) => {
    const { metadata, spec } = manifests.get(name)
    expect(metadata.labels).toEqual({ 'io.cilium.k8s.crd.schema.version': '1.34.2' })
    expect(spec).toMatchObject({
      group: 'cilium.io',
      scope: 'Cluster',
      names: { kind, shortNames, categories: ['cilium'] },
    })
    expect(spec.versions).toHaveLength(1)
    expect(spec.versions[0]).toMatchObject({ name: version, served: true, storage: true })
    expect(spec.versions[0].subresources).toEqual(hasStatus ? { status: {} } : undefined)
  })

  test('the folder holds these two and nothing else', () => {
    expect([...manifests.keys()].sort()).toEqual(['ciliumnodes.cilium.io', 'ciliumpodippools.cilium.io'])
  })
})

const NODE = {
  metadata: { name: 'a' },
  spec: {
    addresses: [{ ip: '10.0.0.1', type: 'InternalIP' }],
    'alibaba-cloud': {
      'availability-zone': 'z',
      'cidr-block': '10.0.0.0/8',
      'instance-type': 't',
      'security-group-tags': { a: 'b' },
      'security-groups': ['sg'],
      'vpc-id': 'vpc',
      'vswitch-tags': { a: 'b' },
      vswitches: ['vsw'],
    },
    azure: { 'interface-name': 'eth0' },
    bootid: 'b',
    encryption: { key: 3 },
    eni: {
      'availability-zone': 'z',
      'delete-on-termination': false,
      'disable-prefix-delegation': true,
      'exclude-interface-tags': { a: 'b' },
      'first-interface-index': 0,
      'instance-id': 'i',
      'instance-type': 't',
      'max-above-watermark': 1,
      'min-allocate': 1,
      'node-subnet-id': 's',
      'pre-allocate': 1,
      'security-group-tags': { a: 'b' },
      'security-groups': ['sg'],
      'subnet-ids': ['s'],
      'subnet-tags': { a: 'b' },
      'use-primary-address': false,
      'vpc-id': 'vpc',
    },
    health: { ipv4: '10.0.0.2', ipv6: '::2' },
    ingress: { ipv4: '10.0.0.3', ipv6: '::3' },
    'instance-id': 'i',
    ipam: {
      'ipv6-pool': { '::5': { owner: 'o', resource: 'r' } },
      'max-above-watermark': 1,
      'max-allocate': 2,
      'min-allocate': 3,
      'pod-cidr-allocation-threshold': 4,
      'pod-cidr-release-threshold': 5,
      podCIDRs: ['10.1.0.0/24'],
      pool: { '10.0.0.4': { owner: 'o', resource: 'eni-1' } },
      pools: {
        allocated: [{ pool: 'default', cidrs: ['10.2.0.0/28'], allowFirstIP: true, allowLastIP: true }],
        requested: [{ pool: 'default', needed: { 'ipv4-addrs': 16, 'ipv6-addrs': 16 } }],
      },
      'pre-allocate': 8,
      'static-ip-tags': { a: 'b' },
    },
    nodeidentity: 6,
  },
}

const STATUS = {
  'alibaba-cloud': {
    enis: {
      'eni-1': {
        'instance-id': 'i',
        'mac-address': 'm',
        'network-interface-id': 'eni-1',
        'primary-ip-address': '10.0.0.1',
        'private-ipsets': [{ primary: true, 'private-ip-address': '10.0.0.1' }],
        'security-groupids': ['sg'],
        tags: { a: 'b' },
        type: 'Secondary',
        vpc: { cidr: '10.0.0.0/8', 'ipv6-cidr': 'fd00::/64', 'secondary-cidrs': ['10.0.0.0/16'], 'vpc-id': 'vpc' },
        vswitch: { cidr: '10.0.0.0/24', 'ipv6-cidr': 'fd00::/80', 'vswitch-id': 'vsw' },
        'zone-id': 'z',
      },
    },
  },
  azure: {
    interfaces: [
      {
        GatewayIP: '10.0.0.1',
        addresses: [{ ip: '10.0.0.2', state: 'succeeded', subnet: 's' }],
        cidr: 'any text: agents of 1.18 wrote this one unchecked',
        gateway: '10.0.0.1',
        id: 'if',
        ip: '10.0.0.2',
        mac: 'm',
        name: 'n',
        'security-group': 'sg',
        state: 'succeeded',
        subnet: { cidr: '10.0.0.0/24', id: 's' },
      },
    ],
  },
  eni: {
    enis: {
      'eni-1': {
        addresses: ['10.0.0.2'],
        'availability-zone': 'z',
        description: 'd',
        id: 'eni-1',
        ip: '10.0.0.1',
        'ipv6-prefixes': ['fd00::/80'],
        mac: 'm',
        number: 0,
        prefixes: ['10.2.0.0/28'],
        'public-ip': '3.3.3.3',
        'security-groups': ['sg'],
        subnet: { cidr: '10.0.0.0/24', id: 's' },
        tags: { a: 'b' },
        vpc: { cidrs: ['10.3.0.0/16'], id: 'vpc', 'primary-cidr': '10.0.0.0/16' },
      },
    },
  },
  ipam: {
    'assigned-static-ip': '3.3.3.3',
    'ipv6-used': { '::5': { owner: 'o', resource: 'r' } },
    'operator-status': { error: 'e' },
    'pod-cidrs': { '10.0.0.0/24': { status: 'in-use' } },
    'release-ips': { '10.0.0.9': 'marked-for-release', '10.0.0.8': 'released' },
    'release-ipv6s': { '::9': 'ready-for-release', '::8': 'do-not-release' },
    used: { '10.0.0.4': { owner: 'default/pod', resource: 'eni-1' } },
  },
}

describe('CiliumNode', () => {
  test('keeps every field that any supported agent or operator writes', async () => {
    const harness = new Harness()
    const created = await harness.request('POST', `${NODES}?fieldValidation=Strict`, { body: NODE })
    expect(created.body.message).toBeUndefined()
    expect(created.body.spec).toEqual(NODE.spec)
    const status = await harness.patch(`${NODES}/a/status?fieldValidation=Strict`, { status: STATUS })
    expect(status.body.message).toBeUndefined()
    expect(status.body.status).toEqual(STATUS)
  })

  test('takes the empty structures that Go writers marshal', async () => {
    const harness = new Harness()
    const spec = { eni: {}, azure: {}, 'alibaba-cloud': {}, ipam: { pools: {} }, addresses: null }
    expect((await harness.post(NODES, { metadata: { name: 'a', creationTimestamp: null }, spec })).status).toBe(201)
    const status = { eni: {}, azure: {}, 'alibaba-cloud': {}, ipam: { 'operator-status': {} } }
    expect((await harness.patch(`${NODES}/a/status`, { status })).body.status).toEqual(status)
  })

  test.each<[path: string, status: object]>([
    ['subnet cidr', { eni: { enis: { e: { subnet: { cidr: '' } } } } }],
    ['primary cidr', { eni: { enis: { e: { vpc: { 'primary-cidr': 'x' } } } } }],
    ['cidrs', { eni: { enis: { e: { vpc: { cidrs: ['x'] } } } } }],
    ['prefixes', { eni: { enis: { e: { prefixes: ['10.0.0.0'] } } } }],
    ['release state', { ipam: { 'release-ips': { '10.0.0.1': 'marked' } } }],
  ])('refuses a wrong %s', async (_, status) => {
    const harness = new Harness()
    await harness.createNodes('a')
    expect((await harness.patch(`${NODES}/a/status`, { status })).status).toBe(422)
  })
})

describe('CiliumPodIPPool', () => {
  const POOLS = '/apis/cilium.io/v2alpha1/ciliumpodippools'
  const good = { ipv4: { cidrs: ['10.0.0.0/16'], maskSize: 24 } }

  test.each<{ name: string; spec: object; status: number }>([
    { name: 'IPv4', spec: good, status: 201 },
    {
      name: 'both families, selectors',
      spec: {
        ...good,
        ipv6: { cidrs: ['fd00::/48'], maskSize: 64 },
        podSelector: { matchExpressions: [{ key: 'a', operator: 'Exists' }] },
        namespaceSelector: { matchLabels: { a: 'b' } },
      },
      status: 201,
    },
    { name: 'neither family', spec: {}, status: 201 },
    { name: 'no CIDR', spec: { ipv4: { cidrs: [], maskSize: 24 } }, status: 422 },
    { name: 'no mask', spec: { ipv4: { cidrs: ['10.0.0.0/16'] } }, status: 422 },
    { name: 'a mask of 33', spec: { ipv4: { cidrs: ['10.0.0.0/16'], maskSize: 33 } }, status: 422 },
    { name: 'a mask of 0', spec: { ipv6: { cidrs: ['fd00::/48'], maskSize: 0 } }, status: 422 },
    { name: 'an address for a CIDR', spec: { ipv4: { cidrs: ['10.0.0.0'], maskSize: 24 } }, status: 422 },
    {
      name: 'an unknown operator',
      spec: { ...good, podSelector: { matchExpressions: [{ key: 'a', operator: 'Near' }] } },
      status: 422,
    },
  ])('$name: $status', async ({ spec, status }) => {
    const reply = await new Harness().post(`${POOLS}?fieldValidation=Strict`, { metadata: { name: 'p' }, spec })
    expect(reply.status).toBe(status)
  })
})
