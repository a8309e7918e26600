import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { errorForms } from '../../../../simulators/aws/errors.ts'
import { OPERATIONS } from '../../../../simulators/aws/operations/index.ts'
import { nest, parseForm } from '../../../../simulators/aws/wire/form.ts'
import { encodeError, encodeResponse } from '../../../../simulators/aws/wire/xml.ts'
import { SIGNED, SUBNET, startSimulator } from './support.ts'
import { parseDenied } from '../../../../simulators/aws/wire/authentication.ts'

describe('forms', () => {
  test('are decoded: plus signs, percent sequences, empty values, broken sequences', () => {
    expect([...parseForm('a=1+2&b=%E4%B8%AD&c=&d&e=100%&%66=f&a=last')]).toEqual([
      ['a', 'last'],
      ['b', '中'],
      ['c', ''],
      ['d', ''],
      ['e', '100%'],
      ['f', 'f'],
    ])
  })

  test('dotted names nest', () => {
    const tree = nest(parseForm('Filter.2.Value.1=x&Filter.1.Name=n&Plain=p'))
    expect(tree).toEqual(
      new Map<string, unknown>([
        [
          'Filter',
          new Map<string, unknown>([
            ['2', new Map([['Value', new Map([['1', 'x']])]])],
            ['1', new Map([['Name', 'n']])],
          ]),
        ],
        ['Plain', 'p'],
      ]),
    )
  })
})

describe('XML', () => {
  test('an answer has the root, the namespace and the request id of the service', () => {
    const xml = encodeResponse('DescribeThings', 'id-1', {
      set: [{ name: 'a<&>"\'b', count: 2, flag: false, missing: undefined }, 'plain'],
      empty: [],
      time: new Date(0),
    })
    expect(xml).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<DescribeThingsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">\n' +
        '<requestId>id-1</requestId><set><item><name>a&lt;&amp;&gt;&quot;&apos;b</name><count>2</count><flag>false</flag></item>' +
        '<item>plain</item></set><empty></empty><time>1970-01-01T00:00:00.000Z</time></DescribeThingsResponse>',
    )
  })

  test('an error has the form of the service, and characters that XML cannot carry are left out', () => {
    expect(encodeError('Code', 'bad \u0000 <x>', 'id-1')).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>Code</Code><Message>bad  &lt;x&gt;</Message></Error>' +
        '</Errors><RequestID>id-1</RequestID></Response>',
    )
  })
})

describe('requests', () => {
  test('the request id is in the header and in the body, of answers and of errors', async () => {
    const { ok, call } = startSimulator()
    const good = await ok('DescribeVpcs')
    expect(good.headers['x-amzn-requestid']).toBe(good.one('requestId'))
    expect(good.headers['content-type']).toBe('text/xml;charset=UTF-8')
    const bad = await call('DescribeVpcs', { MaxResults: 1 })
    expect(bad.headers['x-amzn-requestid']).toBe(bad.one('RequestID'))
  })

  test('a GET with a query is as good as a POST', async () => {
    const { simulator } = startSimulator()
    const query = new URLSearchParams({ Action: 'DescribeSubnets', Version: '2016-11-15', 'SubnetId.1': SUBNET })
    const request = { method: 'GET', path: '/', query, headers: SIGNED, body: '' }
    const answer = await simulator.router(request, new AbortController().signal)
    expect(answer.status).toBe(200)
    expect(answer.body).toContain(`<subnetId>${SUBNET}</subnetId>`)
  })

  test('a presigned query is signed too', async () => {
    const { simulator } = startSimulator()
    const query = new URLSearchParams({
      Action: 'DescribeVpcs',
      Version: '2016-11-15',
      'X-Amz-Credential': 'AKIAQUERY/20260101/us-east-1/ec2/aws4_request',
      'X-Amz-Signature': '0',
    })
    const request = { method: 'GET', path: '/', query, headers: {}, body: '' }
    expect((await simulator.router(request, new AbortController().signal)).status).toBe(200)
    expect(simulator.calls.report().callers).toEqual({ AKIAQUERY: 1 })
  })

  test.each([
    ['an unknown action', 'Action=DescribeSubnet&Version=2016-11-15', 400, 'InvalidAction'],
    ['no action', 'Version=2016-11-15', 400, 'MissingParameter'],
    ['no version', 'Action=DescribeVpcs', 400, 'MissingParameter'],
    ['another version', 'Action=DescribeVpcs&Version=2014-01-01', 400, 'NoSuchVersion'],
    ['an action that is not built', 'Action=DescribeVolumes&Version=2016-11-15', 501, 'NotImplemented'],
    [
      'a parameter that is not built',
      `Action=CreateNetworkInterface&Version=2016-11-15&SubnetId=${SUBNET}&EnablePrimaryIpv6=true`,
      501,
      'NotImplemented',
    ],
    ['an unknown parameter', 'Action=DescribeVpcs&Version=2016-11-15&VpcIds.1=x', 400, 'UnknownParameter'],
    [
      'a list that is none',
      'Action=DescribeVpcs&Version=2016-11-15&VpcId=vpc-00000000000000001',
      400,
      'UnknownParameter',
    ],
    ['a list counted from 0', 'Action=DescribeVpcs&Version=2016-11-15&VpcId.0=x', 400, 'UnknownParameter'],
    ['a wrong flag', 'Action=DescribeVpcs&Version=2016-11-15&DryRun=yes', 400, 'InvalidParameterValue'],
    ['a dry run', 'Action=DescribeVpcs&Version=2016-11-15&DryRun=true', 412, 'DryRunOperation'],
    ['nothing', '', 400, 'MissingParameter'],
    ['noise', '%%%&&&===', 400, 'MissingParameter'],
  ])('%s', async (_, body, status, code) => {
    const answer = await startSimulator().send(body)
    expect([answer.status, answer.code]).toEqual([status, code])
  })

  test('what is not built is named', async () => {
    const { call } = startSimulator()
    expect((await call('DescribeVolumes')).message).toBe(
      'The action DescribeVolumes is not implemented by this simulator.',
    )
  })

  test('a dry run changes nothing, and validates first', async () => {
    const { call, simulator } = startSimulator()
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET, DryRun: true })).code).toBe('DryRunOperation')
    expect((await call('CreateNetworkInterface', { SubnetId: 'x', DryRun: true })).code).toBe(
      'InvalidSubnetID.Malformed',
    )
    expect(simulator.cloud.interfaces.count).toBe(0)
  })

  test('an unsigned request is refused, and so is a denied access key; others are told apart in the calls', async () => {
    const { send, simulator } = startSimulator({
      denied: { AKIABAD: 'AuthFailure', AKIAPOOR: 'UnauthorizedOperation' },
    })
    const body = 'Action=DescribeVpcs&Version=2016-11-15'
    const signedBy = (key: string) => ({ authorization: SIGNED.authorization.replace('AKIATEST', key) })
    const outcome = async (headers: Record<string, string>) => {
      const { status, code } = await send(body, headers)
      return [status, code]
    }
    expect(await outcome({})).toEqual([401, 'AuthFailure'])
    expect(await outcome({ authorization: 'Basic abc' })).toEqual([401, 'AuthFailure'])
    expect(await outcome(signedBy('AKIABAD'))).toEqual([401, 'AuthFailure'])
    expect(await outcome(signedBy('AKIAPOOR'))).toEqual([403, 'UnauthorizedOperation'])
    expect(await outcome(SIGNED)).toEqual([200, undefined])
    expect(simulator.calls.report()).toMatchObject({
      attempts: 5,
      failed: 4,
      callers: { AKIABAD: 1, AKIAPOOR: 1, AKIATEST: 1 },
    })
  })

  test('denied access keys are read from an option, and a wrong one is refused', () => {
    expect(parseDenied('AKIABAD=AuthFailure, AKIAPOOR=UnauthorizedOperation')).toEqual({
      AKIABAD: 'AuthFailure',
      AKIAPOOR: 'UnauthorizedOperation',
    })
    expect(parseDenied('')).toEqual({})
    for (const text of ['AKIABAD', 'AKIABAD=Never', '=AuthFailure', 'a b=AuthFailure'])
      expect(() => parseDenied(text), text).toThrow('expected KEY=AuthFailure|UnauthorizedOperation')
  })

  test('a parameter named like a property of every object is unknown, and harmless', async () => {
    const { call } = startSimulator()
    for (const name of ['__proto__', 'constructor', 'toString', '__proto__.polluted']) {
      expect([name, (await call('DescribeVpcs', { [name]: 'x' })).code]).toEqual([name, 'UnknownParameter'])
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})

test('every error has an HTTP status of errors', () => {
  for (const { code, status } of errorForms()) expect([code, status >= 400 && status < 600]).toEqual([code, true])
})

test('the document of differences names every action and every assumed code', async () => {
  const text = await readFile(join(import.meta.dirname, '../../../../simulators/aws/DIFFERENCES.md'), 'utf8')
  const [, actions = ''] = /## Actions\n([^]*?)\n\nAn action/.exec(text) ?? []
  const named = actions
    .replace('.', '')
    .split(',')
    .map((name) => name.trim())
  expect(named.sort()).toEqual([...OPERATIONS.keys()].sort())
  const assumed = errorForms().filter(({ source }) => source === 'assumed')
  expect(assumed.map(({ code }) => code).filter((code) => !text.includes(`\`${code}\``))).toEqual([])
})
