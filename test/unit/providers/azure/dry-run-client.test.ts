import { describe, expect, test } from 'vitest'
import { dryRunARMClient } from '../../../../providers/azure/dry-run-client.ts'
import type { ARMClient, ARMRequest } from '../../../../providers/azure/client.ts'
import type { JSONObject } from '../../../../src/ipam/types.ts'
import {
  configuration,
  GROUP,
  MACHINE,
  machineDocument,
  nicDocument,
  SCALE_SET_NIC,
  STANDALONE_NIC,
  SUBNET,
} from './builders.ts'

const ENDPOINT = 'https://proxy.test/arm'
const NICS_OF_SET = `${GROUP}/Microsoft.Compute/virtualMachineScaleSets/np1/networkInterfaces`
const VM = `${GROUP}/Microsoft.Compute/virtualMachines/vm-0`.toLowerCase()
const NETWORK = SUBNET.slice(0, SUBNET.lastIndexOf('/subnets/'))

const used = (name: string, ip: string): JSONObject => configuration(name, { privateIPAddress: ip })

/** A subscription with a scale-set machine and a standalone one, each with one address for pods; what is sent to it is recorded. */
function subscription(prefix = '10.0.0.0/24') {
  const scaleSetNIC = (...configurations: readonly JSONObject[]): JSONObject => ({
    ...nicDocument({ virtualMachine: { id: MACHINE } }, ...configurations),
    id: SCALE_SET_NIC,
    name: 'np1',
  })
  const real = {
    model: machineDocument({}, { name: 'a', properties: { subnet: { id: SUBNET } } }),
    scaleSetNIC: scaleSetNIC(used('a', '10.0.0.10')),
    nic: nicDocument({}, used('b', '10.0.0.11')),
  }
  const sent: string[] = []
  const planned: unknown[] = []
  const observed: unknown[] = []
  const answers: Record<string, () => JSONObject> = {
    [MACHINE]: () => real.model,
    [NICS_OF_SET]: () => ({ value: [real.scaleSetNIC] }),
    [STANDALONE_NIC]: () => real.nic,
    [SUBNET]: () => ({ id: SUBNET, properties: { addressPrefix: prefix, ipConfigurations: used4() } }),
    [`${NETWORK}/usages`]: () => ({ value: [{ id: SUBNET, currentValue: 4, limit: 251 }] }),
    [`${SCALE_SET_NIC}/ipconfigurations/ipconfig1/publicipaddresses`]: () => ({ value: [] }),
  }
  const used4 = (): readonly JSONObject[] =>
    [`${SCALE_SET_NIC}/ipConfigurations/ipconfig1`, `${SCALE_SET_NIC}/ipConfigurations/a`, '/1', '/2'].map((id) => ({
      id,
    }))
  const client: ARMClient = {
    endpoint: ENDPOINT,
    send({ method, url }) {
      const path = new URL(url).pathname.slice('/arm'.length)
      sent.push(`${method} ${path}`)
      const document = answers[path]?.()
      const status = document === undefined ? 404 : 200
      return Promise.resolve({ status, header: () => undefined, body: JSON.stringify(document ?? {}) })
    },
  }
  const dry = dryRunARMClient(client, {
    planned: (operation, instanceID, tally) => planned.push([operation, instanceID, tally]),
    observed: (instanceID, tally) => observed.push([instanceID, tally]),
  })
  const request = (method: ARMRequest['method'], path: string, document?: JSONObject) =>
    dry.send({
      method,
      url: `${ENDPOINT}${path}?api-version=1`,
      signal: new AbortController().signal,
      ...(document !== undefined && { body: JSON.stringify(document) }),
    })
  const get = async (path: string): Promise<Shown> => JSON.parse((await request('GET', path)).body) as Shown
  const put = (path: string, document: JSONObject) => request('PUT', path, document)
  return { real, scaleSetNIC, sent, planned, observed, get, put }
}

async function learned(prefix?: string) {
  const at = subscription(prefix)
  for (const path of [NICS_OF_SET, STANDALONE_NIC, SUBNET, MACHINE]) await at.get(path)
  return at
}

interface Configuration {
  name: string
  properties: JSONObject & { publicIPAddress?: { id: string } }
}

/** Whatever a document may hold that is looked at here. */
interface Shown {
  readonly value: readonly Shown[]
  readonly currentValue: number
  readonly properties: {
    readonly provisioningState: string
    readonly ipAddress: string
    readonly ipConfigurations: readonly Configuration[]
    readonly networkProfileConfiguration: {
      readonly networkInterfaceConfigurations: readonly [
        { readonly properties: { readonly ipConfigurations: Configuration[] } },
      ]
    }
  }
}

const inModel = ({ properties }: Shown): Configuration[] =>
  properties.networkProfileConfiguration.networkInterfaceConfigurations[0].properties.ipConfigurations
const addresses = ({ properties }: Shown): unknown[] =>
  properties.ipConfigurations.map((one) => one.properties['privateIPAddress'])
const firstOf = ({ value }: Shown): Shown => value[0]!

const wanted = (name: string, more: JSONObject = {}): JSONObject => ({
  name,
  properties: { privateIPAddressVersion: 'IPv4', subnet: { id: SUBNET }, ...more },
})
const PRIMARY = { name: 'ipconfig1', properties: { primary: true, subnet: { id: SUBNET } } }
const modelWith = (...configurations: readonly JSONObject[]): JSONObject => machineDocument({}, ...configurations)

describe('a write of a dry run', () => {
  test('of a scale-set machine is answered as done, shows in its model and on its interface, and is not sent', async () => {
    const { get, put, sent, planned } = await learned()
    const answer = await put(
      MACHINE,
      modelWith(wanted('a'), wanted('x'), wanted('y', { privateIPAddressPrefixLength: 28 })),
    )
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ properties: { provisioningState: 'Succeeded' } })
    expect(inModel(await get(MACHINE)).map(({ name }) => name)).toEqual(['ipconfig1', 'a', 'x', 'y'])
    const nic = firstOf(await get(NICS_OF_SET))
    expect(addresses(nic)).toEqual(['10.0.0.4', '10.0.0.10', '10.0.0.254', '10.0.0.224/28'])
    expect(nic.properties.ipConfigurations[2]?.properties['provisioningState']).toBe('Succeeded')
    expect(planned).toEqual([
      ['VirtualMachineScaleSetVMs.Update', MACHINE.toLowerCase(), { interfaces: 0, addresses: 17, released: 0 }],
    ])
    expect(sent.every((line) => line.startsWith('GET '))).toBe(true)
  })

  test('of an interface takes addresses off it, imagined ones and real ones', async () => {
    const { real, get, put, planned } = await learned()
    const [primary, b] = (real.nic['properties'] as { ipConfigurations: JSONObject[] }).ipConfigurations
    await put(STANDALONE_NIC, {
      ...real.nic,
      properties: { ipConfigurations: [primary!, b!, wanted('x'), wanted('y')] },
    })
    expect(addresses(await get(STANDALONE_NIC))).toEqual(['10.0.0.4', '10.0.0.11', '10.0.0.254', '10.0.0.253'])
    await put(STANDALONE_NIC, { ...real.nic, properties: { ipConfigurations: [primary!, wanted('y')] } })
    expect(addresses(await get(STANDALONE_NIC))).toEqual(['10.0.0.4', '10.0.0.253'])
    expect(planned).toEqual([
      ['Interfaces.CreateOrUpdate', VM, { interfaces: 0, addresses: 2, released: 0 }],
      ['Interfaces.CreateOrUpdate', VM, { interfaces: 0, addresses: 0, released: 2 }],
    ])
  })

  test('shows in the subnet and in the usages of its network', async () => {
    const { get, put } = await learned()
    await put(MACHINE, modelWith(wanted('x'), wanted('y', { privateIPAddressPrefixLength: 28 })))
    // Two came, and `a` would be gone.
    expect((await get(SUBNET)).properties.ipConfigurations).toHaveLength(4 + 2 - 1)
    expect(firstOf(await get(`${NETWORK}/usages`)).currentValue).toBe(4 + 17 - 1)
  })

  test('is counted, and refused as Azure would refuse it, where the subnet has no room', async () => {
    const { get, put, planned } = await learned('10.0.0.0/28')
    const answer = await put(MACHINE, modelWith(wanted('a'), wanted('x', { privateIPAddressPrefixLength: 28 })))
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body)).toMatchObject({ error: { code: 'SubnetIsFull' } })
    expect(inModel(await get(MACHINE)).map(({ name }) => name)).toEqual(['ipconfig1', 'a'])
    expect(planned).toEqual([
      ['VirtualMachineScaleSetVMs.Update', MACHINE.toLowerCase(), { interfaces: 0, addresses: 0, released: 0 }],
    ])
  })

  test('of anything else is not sent either', async () => {
    const { put, sent } = subscription()
    await expect(put(SUBNET, {})).rejects.toThrow(`PUT ${SUBNET} is not known to the dry run: nothing was sent`)
    expect(sent).toEqual([])
  })

  test('gives a public address where one is asked for', async () => {
    const { get, put, real } = await learned()
    const publicAddress = { name: 'p', properties: { publicIPPrefix: { id: '/prefix' } } }
    const list = `${SCALE_SET_NIC}/ipconfigurations/ipconfig1/publicipaddresses`
    expect((await get(list)).value).toEqual([])
    const entry = { ...PRIMARY, properties: { ...PRIMARY.properties, publicIPAddressConfiguration: publicAddress } }
    const model = modelWith(wanted('a'))
    inModel(model as unknown as Shown)[0] = entry
    await put(MACHINE, model)
    expect(inModel(await get(MACHINE))[0]?.properties['publicIPAddressConfiguration']).toEqual(publicAddress)
    expect(firstOf(await get(list)).properties.ipAddress).toBe('203.0.113.1')
    expect(firstOf(await get(list)).properties.ipAddress).toBe('203.0.113.1')
    const [primary] = (real.nic as unknown as Shown).properties.ipConfigurations
    const described = { ...primary!, properties: { ...primary!.properties, publicIPAddress: publicAddress } }
    await put(STANDALONE_NIC, { ...real.nic, properties: { ipConfigurations: [described] } })
    const { id = '' } = (await get(STANDALONE_NIC)).properties.ipConfigurations[0]?.properties.publicIPAddress ?? {}
    expect((await get(id)).properties.ipAddress).toBe('203.0.113.2')
  })
})

describe('what others do meanwhile', () => {
  test('is told, and takes the place of as much that was pretended', async () => {
    const { real, scaleSetNIC, get, put, observed } = await learned()
    await put(MACHINE, modelWith(wanted('a'), wanted('x'), wanted('y')))
    real.scaleSetNIC = scaleSetNIC(used('a', '10.0.0.10'), used('z', '10.0.0.20'))
    expect(addresses(firstOf(await get(NICS_OF_SET)))).toEqual(['10.0.0.4', '10.0.0.10', '10.0.0.20', '10.0.0.253'])
    expect(observed).toEqual([[MACHINE.toLowerCase(), { interfaces: 0, addresses: 1, released: 0 }]])
    real.scaleSetNIC = scaleSetNIC(used('z', '10.0.0.20'))
    expect(addresses(firstOf(await get(NICS_OF_SET)))).toEqual(['10.0.0.4', '10.0.0.20', '10.0.0.253'])
    expect(observed[1]).toEqual([MACHINE.toLowerCase(), { interfaces: 0, addresses: 0, released: 1 }])
  })

  test('does not show in a model before it shows on the interface', async () => {
    const { real, get, put } = await learned()
    real.model = machineDocument({ provisioningState: 'Updating' }, wanted('a'), wanted('z'))
    expect(inModel(await get(MACHINE)).map(({ name }) => name)).toEqual(['ipconfig1', 'a'])
    expect((await get(MACHINE)).properties.provisioningState).toBe('Succeeded')
    await put(MACHINE, modelWith(wanted('a'), wanted('x')))
    expect(inModel(await get(MACHINE)).map(({ name }) => name)).toEqual(['ipconfig1', 'a', 'x'])
  })

  test('ends a release that was pretended, whichever address went', async () => {
    const { real, scaleSetNIC, get, put, planned } = await learned()
    real.scaleSetNIC = scaleSetNIC(used('a', '10.0.0.10'), used('c', '10.0.0.12'))
    real.model = modelWith(wanted('a'), wanted('c'))
    await get(NICS_OF_SET)
    await get(MACHINE)
    await put(MACHINE, modelWith(wanted('c')))
    expect(planned.at(-1)).toMatchObject([expect.anything(), expect.anything(), { released: 1 }])
    real.scaleSetNIC = scaleSetNIC(used('a', '10.0.0.10'))
    expect(addresses(firstOf(await get(NICS_OF_SET)))).toEqual(['10.0.0.4', '10.0.0.10'])
  })
})
