import { describe, expect, test } from 'vitest'
import { parseLatency } from '../../../../simulators/aws/index.ts'
import { ConnectionCut } from '../../../../simulators/kit/http.ts'
import { SUBNET, startSimulator } from './support.ts'

const withRules = (...rules: object[]) => startSimulator({ faults: { rules } })

describe('faults', () => {
  test('an error before the effect changes nothing', async () => {
    const { call, simulator } = withRules({
      action: 'Create*',
      kind: 'error',
      code: 'InternalError',
      status: 500,
      message: 'An internal error has occurred',
      count: 1,
    })
    const failed = await call('CreateNetworkInterface', { SubnetId: SUBNET })
    expect([failed.status, failed.code, failed.message]).toEqual([
      500,
      'InternalError',
      'An internal error has occurred',
    ])
    expect(simulator.cloud.interfaces.count).toBe(0)
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET })).status).toBe(200)
  })

  test('a lost response leaves the change made: the same assignment again assigns twice', async () => {
    const { create, call, ok, simulator } = withRules({
      action: 'AssignPrivateIpAddresses',
      kind: 'drop',
      where: 'after-effect',
      count: 1,
    })
    const interfaceID = await create()
    const request = { NetworkInterfaceId: interfaceID, SecondaryPrivateIpAddressCount: 2 }
    await expect(call('AssignPrivateIpAddresses', request)).rejects.toThrow(ConnectionCut)
    await ok('AssignPrivateIpAddresses', request)
    const listed = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })
    expect(listed.all('primary')).toEqual(['true', 'false', 'false', 'false', 'false'])
    expect(simulator.calls.report().last.map(({ outcome, code }) => [outcome, code])).toEqual([
      ['ok', undefined],
      ['failed', 'drop'],
      ['ok', undefined],
      ['ok', undefined],
    ])
  })

  test('an error after the effect leaves the change made', async () => {
    const { call, simulator } = withRules({
      action: '*',
      kind: 'error',
      where: 'after-effect',
      code: 'Unavailable',
      status: 503,
    })
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET })).code).toBe('Unavailable')
    expect(simulator.cloud.interfaces.count).toBe(1)
  })

  test('a truncated answer is half of it', async () => {
    const { call } = withRules({ action: 'DescribeVpcs', kind: 'truncate', count: 1 })
    const withoutID = (xml: string) => xml.replace(/<requestId>[^<]*/, '<requestId>')
    const half = withoutID((await call('DescribeVpcs')).xml)
    const whole = withoutID((await call('DescribeVpcs')).xml)
    expect(whole.endsWith('</DescribeVpcsResponse>')).toBe(true)
    expect(whole.startsWith(half)).toBe(true)
    expect(half.length).toBeLessThan(whole.length / 2)
  })

  test('a cut answer breaks off', async () => {
    const { simulator } = withRules({ action: 'DescribeVpcs', kind: 'cut' })
    const request = {
      method: 'POST',
      path: '/',
      query: new URLSearchParams(),
      headers: { authorization: 'AWS4-HMAC-SHA256 Credential=A/1/us-east-1/ec2/aws4_request' },
      body: 'Action=DescribeVpcs&Version=2016-11-15',
    }
    const { body } = await simulator.router(request, new AbortController().signal)
    const read = async () => {
      const pieces = []
      for await (const piece of body) pieces.push(piece)
      return pieces
    }
    await expect(read()).rejects.toThrow(ConnectionCut)
  })

  test('rules can look at parameters', async () => {
    const { launch, call, simulator } = startSimulator()
    const one = launch()
    const two = launch()
    simulator.faults.set([
      {
        action: 'TerminateInstances',
        match: { 'InstanceId.1': one.instanceID },
        where: 'before-effect',
        effect: { kind: 'error', code: 'InternalError', status: 500, message: 'no' },
        probability: 1,
        count: Infinity,
        fromCall: 1,
        untilCall: Infinity,
      },
    ])
    expect((await call('TerminateInstances', { 'InstanceId.1': one.instanceID })).status).toBe(500)
    expect((await call('TerminateInstances', { 'InstanceId.1': two.instanceID })).status).toBe(200)
  })

  test('rules come and go at the control door', async () => {
    const { call, control } = startSimulator()
    const rule = { action: 'DescribeVpcs', kind: 'error', code: 'InternalError', status: 500 }
    await control('PUT', '/_berth/faults', { rules: [rule] })
    expect((await call('DescribeVpcs')).status).toBe(500)
    await control('DELETE', '/_berth/faults')
    expect((await call('DescribeVpcs')).status).toBe(200)
  })
})

describe('latency', () => {
  test('a call takes its time on the clock, before its effect', async () => {
    const { call, clock, simulator } = startSimulator({ latency: parseLatency('100') })
    let done = false
    const calling = call('CreateNetworkInterface', { SubnetId: SUBNET }).then((answer) => {
      done = true
      return answer
    })
    await clock.advance(99)
    expect([done, simulator.cloud.interfaces.count]).toEqual([false, 0])
    await clock.advance(1)
    expect((await calling).status).toBe(200)
  })

  test('a delay after the effect makes the answer old', async () => {
    const { call, clock, create } = withRules({
      action: 'DescribeNetworkInterfaces',
      kind: 'latency',
      latencyMs: 500,
      where: 'after-effect',
    })
    const listing = call('DescribeNetworkInterfaces')
    await create()
    await clock.advance(500)
    expect((await listing).all('networkInterfaceId')).toEqual([])
  })

  test('listing everything takes longer the more there is', async () => {
    const { call, clock, simulator } = startSimulator({
      latency: { changing: { min: 0, max: 0 }, reading: { min: 50, max: 50 }, per2000InterfacesMs: 1000 },
    })
    simulator.makeInstances({ instanceType: 'm5.large', subnetId: SUBNET, count: 200 })
    const startMs = clock.now()
    const listing = call('DescribeNetworkInterfaces').then(() => clock.now() - startMs)
    await clock.advance(1000)
    // 50 ms and a tenth of a second for 200 of 2000 interfaces; the manual clock stops at each wake.
    expect(await listing).toBe(150)
  })

  test('a client that leaves ends its call without effect', async () => {
    const { simulator } = startSimulator({ latency: parseLatency('100') })
    const abort = new AbortController()
    const request = {
      method: 'POST',
      path: '/',
      query: new URLSearchParams(),
      headers: { authorization: 'AWS4-HMAC-SHA256 Credential=A/1/us-east-1/ec2/aws4_request' },
      body: `Action=CreateNetworkInterface&Version=2016-11-15&SubnetId=${SUBNET}`,
    }
    const calling = simulator.router(request, abort.signal)
    abort.abort(new Error('gone'))
    await expect(calling).rejects.toThrow('gone')
    expect(simulator.cloud.interfaces.count).toBe(0)
  })

  test.each(['fast', '-5', '300-80', '1e3', ''])('the text %j is refused', (text) => {
    expect(() => parseLatency(text)).toThrow(/latency: must be/)
  })
})
