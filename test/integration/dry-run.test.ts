import { afterEach, describe, expect, test } from 'vitest'
import type { DryRunReport } from '../../src/cli/dry-run.ts'
import type { Fleet, FleetOptions } from '../support/fleet.ts'
import { closeFleet, MINUTE, start } from '../support/fleet-scenario.ts'

/** A dry run against the simulators' own counts, in virtual time. */

afterEach(closeFleet)

/** Everything but reads. */
function mutations(of: Fleet): Record<string, number> {
  const { actions } = of.cloud.ec2.calls.report()
  const counts = Object.entries(actions).map(([action, { attempts }]) => [action, attempts] as const)
  return Object.fromEntries(counts.filter(([action]) => !/^(Describe|Get)/.test(action)))
}

/** What only a controller writes: nobody has. */
async function expectUntouched(of: Fleet): Promise<void> {
  for (const one of (await of.resources()) as readonly { spec?: { ipam?: object }; status?: object }[]) {
    expect(one.spec?.ipam).not.toHaveProperty('pool')
    expect(one.status ?? {}).not.toHaveProperty('eni')
  }
  for (const path of ['/apis/coordination.k8s.io/v1/leases', '/api/v1/events']) {
    expect(await of.observer.request('GET', path, {}, of.closing), path).toMatchObject({ items: [] })
  }
}

const reportOf = (of: Fleet): DryRunReport => {
  const [report] = of.processes.flatMap(({ handle }) => handle?.dryRunReport ?? [])
  if (report === undefined) throw new Error('no controller runs dry')
  return report
}

/** The controller dry for some minutes, then for real in a world that is made alike. */
async function dryThenReal(
  options: Partial<FleetOptions>,
): Promise<{ report: DryRunReport; real: Record<string, number> }> {
  const dry = await start({ ...options, flags: [...(options.flags ?? []), '--dry-run'] })
  await dry.advance(5 * MINUTE)
  expect(mutations(dry)).toEqual({})
  await expectUntouched(dry)
  const report = reportOf(dry)
  await closeFleet()
  const real = await start(options)
  await real.converge(5 * MINUTE)
  await real.advance(MINUTE)
  return { report, real: mutations(real) }
}

describe('a dry run', () => {
  const busy = { nodeCount: 12, seed: 7 }
  test.each<{ name: string; options: Partial<FleetOptions> }>([
    { name: 'single addresses', options: busy },
    { name: 'prefixes', options: { ...busy, prefixDelegation: true } },
    { name: 'multi-pool agents', options: { ...busy, prefixDelegation: true, agentGeneration: 'multi-pool' } },
    {
      name: 'nodes that need further interfaces',
      options: { ...busy, specs: [{ 'min-allocate': 24 }, { 'pre-allocate': 3 }] },
    },
    { name: 'a full subnet', options: { ...busy, subnetBits: 26, specs: [{ 'min-allocate': 12 }] } },
  ])('changes nothing and predicts the calls of a real one: $name', async ({ options }) => {
    const { report, real } = await dryThenReal(options)
    expect(Object.keys(real).length).toBeGreaterThan(0)
    expect(report.calls).toEqual(real)
    expect(report.resources.status).toBe(12)
    expect(report.nodes.map(({ node }) => node).sort()).toHaveLength(12)
    expect(report.verdicts).toEqual({ same: 0, different: 0, onlyPlanned: 12, onlyObserved: 0 })
  })

  test('plans nothing where nothing is needed', async () => {
    const of = await start({ nodeCount: 4 })
    await of.converge(MINUTE)
    await of.advance(MINUTE)
    const settled = mutations(of)
    of.stopController()
    of.startDry()
    await of.advance(3 * MINUTE)
    expect(mutations(of)).toEqual(settled)
    const { calls, resources, nodes } = reportOf(of)
    expect({ calls, resources, nodes }).toEqual({ calls: {}, resources: { status: 0, spec: 0, deleted: 0 }, nodes: [] })
  })

  test('counts what would be given back, asks no agent for it, and takes no lease', async () => {
    const of = await start({ nodeCount: 2, releaseExcess: true, agentGeneration: 'mixed' })
    for (const node of of.nodes.values()) of.startPods(node, 16)
    await of.converge(MINUTE)
    await of.advance(5_000)
    of.stopController()
    await of.apply({ kind: 'podsGone', count: 32 })
    of.startDry()
    const before = mutations(of)
    await of.advance(5 * MINUTE)
    expect(mutations(of)).toEqual(before)
    const report = reportOf(of)
    // A multi-pool agent gives up by itself; the other one would have to be asked.
    expect(report.calls['UnassignPrivateIpAddresses']).toBeGreaterThan(0)
    expect(report.addressesToAskBack).toBeGreaterThan(0)
    expect(of.audit).toEqual([])
    expect(of.processes.every(({ isServing }) => isServing)).toBe(true)
    await of.assertInvariants()
  })
})

describe('a shadow', () => {
  test('beside a running controller plans what that one does, and says so', async () => {
    const of = await start({ nodeCount: 6, prefixDelegation: true })
    of.startDry()
    await of.converge(MINUTE)
    await of.advance(2 * MINUTE)
    for (let round = 0; round < 3; round++) {
      for (const node of of.nodes.values()) of.startPods(node, 4)
      await of.advance(MINUTE)
    }
    await of.converge(MINUTE)
    await of.advance(2 * MINUTE)
    const { verdicts, nodes } = reportOf(of)
    expect(nodes.length).toBeGreaterThan(0)
    expect(verdicts).toEqual({ same: nodes.length, different: 0, onlyPlanned: 0, onlyObserved: 0 })
    // The real one was not disturbed.
    expect(of.log.filter(({ message }) => message.includes('Another controller'))).toEqual([])
    await of.assertInvariants()
  })

  test.each([
    { releaseExcess: false, flag: '--aws-release-excess-ips=true', verdict: 'onlyPlanned' },
    { releaseExcess: true, flag: '--pause-destructive', verdict: 'onlyObserved' },
  ])('names what only one of the two would do: $verdict', async ({ releaseExcess, flag, verdict }) => {
    const of = await start({ nodeCount: 3, releaseExcess, agentGeneration: 'multi-pool' })
    for (const node of of.nodes.values()) of.startPods(node, 16)
    await of.converge(MINUTE)
    await of.advance(5_000)
    of.startDry([flag])
    await of.advance(2 * MINUTE)
    await of.apply({ kind: 'podsGone', count: 48 })
    await of.advance(5 * MINUTE)
    const { verdicts, nodes } = reportOf(of)
    expect(verdicts).toEqual({ same: 0, different: 0, onlyPlanned: 0, onlyObserved: 0, [verdict]: 3 })
    for (const { planned, observed } of nodes) {
      expect((verdict === 'onlyPlanned' ? planned : observed).released).toBeGreaterThan(0)
    }
    await of.assertInvariants()
  })
})
