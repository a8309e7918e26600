import { describe, expect, test } from 'vitest'
import type { DryRunReport } from '../../src/cli/dry-run.ts'
import type { ControllerHandle } from '../../src/cli/controller.ts'
import { inAzureWorld, PUBLIC_PREFIX_TAGS } from '../support/azure-world.ts'
import type { AzureWorld, AzureWorldOptions } from '../support/azure-world.ts'

/** A dry run on Azure against the simulators' own counts, in virtual time. */

const MINUTE = 60_000
const NODES = 6

function reportOf({ dryRunReport }: ControllerHandle): DryRunReport {
  if (dryRunReport === undefined) throw new Error('the controller does not run dry')
  return dryRunReport
}

/** What only a controller writes: nobody has. */
async function expectUntouched(world: AzureWorld): Promise<void> {
  for (const one of (await world.resources()) as readonly { spec?: { ipam?: object }; status?: object }[]) {
    expect(one.spec?.ipam).not.toHaveProperty('pool')
    expect(one.status ?? {}).not.toHaveProperty('azure')
  }
  for (const path of ['/apis/coordination.k8s.io/v1/leases', '/api/v1/events'])
    expect(await world.list(path), path).toEqual([])
}

function dry(options: AzureWorldOptions): Promise<DryRunReport> {
  return inAzureWorld(options, async (world) => {
    const controller = await world.start(['--dry-run'])
    await world.pass(5 * MINUTE)
    expect(world.writes()).toEqual({})
    await expectUntouched(world)
    return reportOf(controller)
  })
}

function real(options: AzureWorldOptions): Promise<Record<string, number>> {
  return inAzureWorld(options, async (world) => {
    await world.start()
    await world.settle(5 * MINUTE)
    await world.pass(MINUTE)
    return world.writes()
  })
}

describe('a dry run on Azure', () => {
  const machines = { nodes: NODES }
  test.each<{ name: string; options: AzureWorldOptions }>([
    { name: 'a scale set', options: { ...machines, kind: 'uniform' } },
    { name: 'standalone machines', options: { ...machines, kind: 'standalone' } },
    { name: 'a flexible scale set', options: { ...machines, kind: 'flexible' } },
    { name: 'blocks in a scale set', options: { ...machines, kind: 'uniform', prefixes: true } },
    { name: 'blocks of standalone machines', options: { ...machines, kind: 'standalone', prefixes: true } },
    {
      name: 'agents of the newer generation',
      options: { ...machines, kind: 'uniform', agentGeneration: 'multi-pool' },
    },
    {
      name: 'nodes that want several amounts',
      options: { ...machines, kind: 'standalone', specs: [{ 'min-allocate': 24 }, { 'pre-allocate': 3 }] },
    },
    ...(['uniform', 'standalone'] as const).map((kind) => ({
      name: `a public address for each node, ${kind}`,
      options: { ...machines, kind, specs: [{ 'static-ip-tags': PUBLIC_PREFIX_TAGS }] },
    })),
    {
      name: 'a subnet that has just enough',
      options: { ...machines, kind: 'uniform', subnetBits: 26, specs: [{ 'min-allocate': 8, 'pre-allocate': 8 }] },
    },
  ])('changes nothing and predicts the calls of a real one: $name', async ({ options }) => {
    const { calls, resources, nodes, nodesLeftOut, verdicts } = await dry(options)
    const made = await real(options)
    expect(Object.keys(made)).toEqual([
      options.kind === 'uniform' ? 'VirtualMachineScaleSetVMs.Update' : 'Interfaces.CreateOrUpdate',
    ])
    expect(calls).toEqual(made)
    expect(resources.status).toBe(NODES)
    expect(nodesLeftOut).toBe(0)
    expect(nodes.map(({ node }) => node).sort()).toEqual(
      Array.from({ length: NODES }, (_, index) => `node-${index + 1}`).sort(),
    )
    for (const { planned } of nodes) expect(planned.addresses).toBeGreaterThan(0)
    expect(verdicts).toEqual({ same: 0, different: 0, onlyPlanned: NODES, onlyObserved: 0 })
  })

  test.each(['uniform', 'standalone'] as const)('plans nothing where nothing is needed: %s', async (kind) => {
    const report = await inAzureWorld({ ...machines, kind }, async (world) => {
      await world.start()
      await world.settle(5 * MINUTE)
      await world.pass(MINUTE)
      await world.stopControllers()
      const settled = world.writes()
      const controller = await world.start(['--dry-run'])
      await world.pass(3 * MINUTE)
      expect(world.writes()).toEqual(settled)
      return reportOf(controller)
    })
    expect(report).toMatchObject({ calls: {}, resources: { status: 0, spec: 0, deleted: 0 }, nodes: [] })
  })

  test.each(['uniform', 'standalone'] as const)(
    'counts what would be given back, and gives nothing: %s',
    async (kind) => {
      const flags = ['--azure-release-excess-ips=true', '--excess-ip-release-delay=20']
      const report = await inAzureWorld({ nodes: 2, kind, agentGeneration: 'multi-pool', flags }, async (world) => {
        await world.startPods(30)
        await world.start()
        await world.settle(5 * MINUTE)
        await world.stopControllers()
        for (let pod = 0; pod < 60; pod++) await world.pods.stopPod()
        const before = world.writes()
        const controller = await world.start(['--dry-run'])
        await world.pass(5 * MINUTE)
        expect(world.writes()).toEqual(before)
        expect(world.azure.check()).toEqual([])
        return reportOf(controller)
      })
      expect(Object.keys(report.calls)).toEqual([
        kind === 'uniform' ? 'VirtualMachineScaleSetVMs.Update' : 'Interfaces.CreateOrUpdate',
      ])
      expect(report.nodes).toHaveLength(2)
      for (const { planned, observed } of report.nodes) {
        expect(planned.released).toBeGreaterThan(0)
        expect(observed.released).toBe(0)
      }
    },
  )
})

describe('a shadow on Azure', () => {
  test.each(['uniform', 'standalone'] as const)(
    'beside a running controller plans what that one does, and says so: %s',
    async (kind) => {
      const report = await inAzureWorld({ nodes: 4, kind }, async (world) => {
        const controller = await world.start(['--dry-run'])
        await world.start()
        await world.settle(5 * MINUTE)
        await world.pass(2 * MINUTE)
        for (let round = 0; round < 3; round++) {
          await world.startPods(4)
          await world.pass(MINUTE)
        }
        await world.settle(5 * MINUTE)
        await world.pass(2 * MINUTE)
        return reportOf(controller)
      })

      expect(report.nodes).toHaveLength(4)
      expect(report.verdicts).toEqual({ same: 4, different: 0, onlyPlanned: 0, onlyObserved: 0 })
    },
  )
})
