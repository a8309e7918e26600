import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import { createServer as createTLSServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DescribeVpcsCommand } from '@aws-sdk/client-ec2'
import type { EC2Client } from '@aws-sdk/client-ec2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEC2Client } from '../../providers/aws/index.ts'
import { awsAgents } from '../../src/cli/aws-network.ts'
import { ownershipTags } from '../../src/cli/controller-aws.ts'

/** The ways to AWS of docs/access.md: each by the SDK's own means, seen from the other end of the wire. */

const VARIABLES = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_PROFILE',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_ROLE_ARN',
  'AWS_ROLE_SESSION_NAME',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_ENDPOINT_URL_STS',
  'AWS_ENDPOINT_URL_EC2',
  'AWS_USE_FIPS_ENDPOINT',
  'AWS_USE_DUALSTACK_ENDPOINT',
  'AWS_EC2_METADATA_DISABLED',
]
const saved = new Map<string, string | undefined>()
const servers: Server[] = []
const clients: EC2Client[] = []
const directory = mkdtempSync(join(tmpdir(), 'berth-access-'))
let files = 0

beforeEach(() => {
  for (const name of VARIABLES) {
    saved.set(name, process.env[name])
    delete process.env[name]
  }
  // Nothing of this machine counts.
  process.env['AWS_EC2_METADATA_DISABLED'] = 'true'
  process.env['AWS_CONFIG_FILE'] = file('')
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = file('')
})

afterEach(() => {
  for (const [name, value] of saved) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  for (const client of clients.splice(0)) client.destroy()
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

/** A new file each time: the SDK remembers what it has read. */
function file(text: string): string {
  const path = join(directory, `file-${++files}`)
  writeFileSync(path, text)
  return path
}

async function listening(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

interface Seen {
  readonly url: string
  readonly host: string
  readonly authorization: string
  readonly securityToken: string
  readonly body: string
}

const VPCS = '<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><vpcSet/></DescribeVpcsResponse>'
const ROLE_CREDENTIALS =
  '<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role</SecretAccessKey><SessionToken>role-session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>'

const stsAnswer = (action: string): string =>
  `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>${ROLE_CREDENTIALS}</${action}Result></${action}Response>`

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const piece of request) body += String(piece)
  return body
}

/** EC2 and STS in one, which note what reaches them. */
function awsListener(seen: Seen[]): RequestListener {
  return (request, response) => {
    void bodyOf(request).then((body) => {
      const { authorization = '', host = '' } = request.headers
      const securityToken = String(request.headers['x-amz-security-token'] ?? '')
      seen.push({ url: request.url ?? '', host, authorization, securityToken, body })
      const action = new URLSearchParams(body).get('Action') ?? ''
      response.writeHead(200, { 'content-type': 'text/xml' })
      response.end(action === 'DescribeVpcs' ? VPCS : stsAnswer(action))
    })
  }
}

function clientOf(options: Partial<Parameters<typeof createEC2Client>[0]> = {}): EC2Client {
  const client = createEC2Client({ region: 'eu-central-1', ...options })
  clients.push(client)
  return client
}

const ask = (client: EC2Client): Promise<unknown> => client.send(new DescribeVpcsCommand({}))
const KEYS = { accessKeyId: 'AKIATEST', secretAccessKey: 'test' }

describe('an identity', () => {
  test('by web identity, as a service account of EKS has it', async () => {
    const seen: Seen[] = []
    const url = `http://127.0.0.1:${await listening(createServer(awsListener(seen)))}`
    process.env['AWS_ENDPOINT_URL_STS'] = url
    process.env['AWS_ROLE_ARN'] = 'arn:aws:iam::123456789012:role/berth'
    process.env['AWS_WEB_IDENTITY_TOKEN_FILE'] = file('the-projected-token')
    await ask(clientOf({ endpoint: url }))
    const [sts, ec2] = seen
    const asked = new URLSearchParams(sts?.body)
    expect(asked.get('Action')).toBe('AssumeRoleWithWebIdentity')
    expect(asked.get('WebIdentityToken')).toBe('the-projected-token')
    expect(asked.get('RoleArn')).toBe('arn:aws:iam::123456789012:role/berth')
    expect(ec2?.authorization).toContain('Credential=ASIAROLE/')
    expect(ec2?.securityToken).toBe('role-session')
  })

  test('by a role of another account, assumed with a profile', async () => {
    const seen: Seen[] = []
    const url = `http://127.0.0.1:${await listening(createServer(awsListener(seen)))}`
    process.env['AWS_ENDPOINT_URL_STS'] = url
    process.env['AWS_PROFILE'] = 'network'
    process.env['AWS_CONFIG_FILE'] = file(
      '[profile network]\nrole_arn = arn:aws:iam::210987654321:role/berth\nsource_profile = base\nexternal_id = cluster-7\n[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base\n',
    )
    await ask(clientOf({ endpoint: url }))
    const [sts, ec2] = seen
    const asked = new URLSearchParams(sts?.body)
    expect(asked.get('Action')).toBe('AssumeRole')
    expect(asked.get('RoleArn')).toBe('arn:aws:iam::210987654321:role/berth')
    expect(asked.get('ExternalId')).toBe('cluster-7')
    expect(sts?.authorization).toContain('Credential=AKIABASE/')
    expect(ec2?.authorization).toContain('Credential=ASIAROLE/')
  })
})

describe('an endpoint', () => {
  const hostAsked = async (options: Partial<Parameters<typeof createEC2Client>[0]> = {}): Promise<string> => {
    let host = ''
    const requestHandler = {
      handle: (request: { readonly hostname: string }) => {
        host = request.hostname
        return Promise.reject(new Error('seen'))
      },
    }
    await expect(
      ask(clientOf({ credentials: KEYS, requestHandler: requestHandler as never, ...options })),
    ).rejects.toThrow('seen')
    return host
  }

  test("is the region's own where nothing is said", async () => {
    expect(await hostAsked()).toBe('ec2.eu-central-1.amazonaws.com')
  })

  test('with FIPS 140 cryptography', async () => {
    process.env['AWS_USE_FIPS_ENDPOINT'] = 'true'
    expect(await hostAsked({ region: 'us-east-1' })).toBe('ec2-fips.us-east-1.amazonaws.com')
  })

  test('with IPv6', async () => {
    process.env['AWS_USE_DUALSTACK_ENDPOINT'] = 'true'
    expect(await hostAsked()).toBe('ec2.eu-central-1.api.aws')
  })

  test('of a private link, by option and by variable', async () => {
    const endpoint = 'https://vpce-0123-abcd.ec2.eu-central-1.vpce.amazonaws.com'
    expect(await hostAsked({ endpoint })).toBe('vpce-0123-abcd.ec2.eu-central-1.vpce.amazonaws.com')
    process.env['AWS_ENDPOINT_URL_EC2'] = 'https://ec2.internal.example'
    expect(await hostAsked()).toBe('ec2.internal.example')
  })
})

describe('a proxy', () => {
  test('carries plain requests', async () => {
    const seen: Seen[] = []
    const proxy = `http://127.0.0.1:${await listening(createServer(awsListener(seen)))}`
    const agents = awsAgents({ HTTP_PROXY: proxy })!
    await ask(clientOf({ endpoint: 'http://ec2.example.invalid', credentials: KEYS, agents }))
    expect(seen).toMatchObject([{ url: 'http://ec2.example.invalid/', host: 'ec2.example.invalid' }])
  })

  test('carries encrypted ones through a tunnel that it cannot read, and NO_PROXY goes round it', async () => {
    const seen: Seen[] = []
    const port = await listening(tlsServer(seen))
    const tunnels: string[] = []
    const proxyServer = createServer()
    proxyServer.on('connect', (request, socket) => {
      tunnels.push(request.url ?? '')
      const upstream = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
        upstream.pipe(socket).pipe(upstream)
      })
      upstream.on('error', () => socket.destroy())
      socket.on('error', () => upstream.destroy())
    })
    const HTTPS_PROXY = `http://127.0.0.1:${await listening(proxyServer)}`
    const endpoint = `https://localhost:${port}`
    await ask(clientOf({ endpoint, credentials: KEYS, agents: awsAgents({ HTTPS_PROXY, AWS_CA_BUNDLE: CA })! }))
    expect(tunnels).toEqual([`localhost:${port}`])
    expect(seen).toHaveLength(1)
    const direct = awsAgents({ HTTPS_PROXY, NO_PROXY: 'localhost', AWS_CA_BUNDLE: CA })!
    await ask(clientOf({ endpoint, credentials: KEYS, agents: direct }))
    expect(tunnels).toHaveLength(1)
    expect(seen).toHaveLength(2)
  })
})

const TLS = new URL('../unit/kubernetes/tls/', import.meta.url)
const CA = new URL('ca.pem', TLS).pathname

function tlsServer(seen: Seen[]): Server {
  const key = readFileSync(new URL('server-key.pem', TLS))
  const cert = readFileSync(new URL('server.pem', TLS))
  return createTLSServer({ key, cert }, awsListener(seen))
}

describe('a certificate authority of one’s own', () => {
  test('is trusted when AWS_CA_BUNDLE names it, and not otherwise', async () => {
    const seen: Seen[] = []
    const endpoint = `https://localhost:${await listening(tlsServer(seen))}`
    await expect(ask(clientOf({ endpoint, credentials: KEYS }))).rejects.toThrow(/certificate/)
    await ask(clientOf({ endpoint, credentials: KEYS, agents: awsAgents({ AWS_CA_BUNDLE: CA })! }))
    expect(seen).toHaveLength(1)
  })

  test('that cannot be read is the operator’s mistake, said at the start', () => {
    expect(() => awsAgents({ AWS_CA_BUNDLE: '/nonexistent.pem' })).toThrow(
      'AWS_CA_BUNDLE /nonexistent.pem: cannot be read',
    )
    expect(() => awsAgents({ AWS_CA_BUNDLE: file('not a certificate') })).toThrow('has no certificate in PEM form')
  })

  test('and a proxy that nobody named leave the connections to the SDK', () => {
    expect(awsAgents({ HOME: '/root', NO_PROXY: '*' })).toBeUndefined()
  })
})

test('interfaces say whose they are, apart from the tags that the Cilium operator shares', () => {
  expect(ownershipTags('blue')).toEqual({ 'berth.io/cluster': 'blue' })
})
