import type { ControllerConfig } from '../../../src/controller/options.ts'
import type { IPAMProfile } from '../../../src/ipam/types.ts'
import { FakeFleet } from '../../support/fake-fleet.ts'
import type { FakeInterface, FakeProviderOptions } from '../../support/fake-provider.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'

interface AttachedInterface {
  readonly index: number
  readonly addresses?: number
  readonly prefixes?: number
  readonly excluded?: boolean
}

interface ScenarioInput {
  readonly provider: {
    readonly kind: 'flat' | 'interfaces'
    readonly poolSize?: number
    readonly instanceMax?: number
    readonly instanceMin?: number
    readonly adapters?: number
    readonly ipv4PerInterface?: number
    readonly firstInterfaceIndex?: number
    readonly attached?: readonly AttachedInterface[]
    readonly subnetAvailable?: number
    readonly prefixDelegation?: boolean
    readonly prefixDelegated?: boolean
    readonly subnetHasPrefixes?: boolean
  }
  readonly nodes: number
  readonly releaseExcess: boolean
  readonly steps: readonly JSONObject[]
}

interface ScenarioStep {
  readonly preAllocate?: number
  readonly minAllocate?: number
  readonly maxAllocate?: number
  readonly maxAboveWatermark?: number
  readonly used?: number
  readonly afterReleaseHandshake?: boolean
  readonly instanceGone?: boolean
  readonly subnetAvailable?: number
  readonly subnetHasPrefixes?: boolean
}

/** Long enough for what a step starts, shorter than the release delay (ms). */
const STEP_MS = 5_000
/** A full sync comes within this (ms). */
const FULL_SYNC_MS = 70_000
const RELEASE_DELAY_MS = 180_000
/** One interface a pass: a release over many interfaces takes as many rounds (count). */
const RELEASE_ROUNDS = 20

/** Runs the whole controller on a manual clock, with a cloud in memory. */
export async function runNodeScenario(input: JSONObject, profile: IPAMProfile): Promise<unknown> {
  const scenario = input as unknown as ScenarioInput
  const fleet = fleetOf(scenario, profile)
  const names = Array.from({ length: scenario.nodes }, (_, index) => `node-${String(index + 1)}`)
  await fleet.start()
  for (const name of names) fleet.provider.launch(`i-${name}`, attachedOf(scenario))
  await fleet.advance(FULL_SYNC_MS)
  const afterEachStep: unknown[] = []
  for (const step of scenario.steps) {
    await takeStep(fleet, names, { ...step, ...(step['set'] as ScenarioStep | undefined) })
    const states = names.map((name) => stateOf(fleet, name))
    const differing = states.find((state) => JSON.stringify(state) !== JSON.stringify(states[0]))
    afterEachStep.push(differing === undefined ? states[0] : { nodesDiffer: states })
  }
  await fleet.manager.stop(AbortSignal.abort())
  return { afterEachStep }
}

async function takeStep(fleet: FakeFleet, names: readonly string[], step: ScenarioStep): Promise<void> {
  const { provider } = fleet
  if (step.subnetAvailable !== undefined) provider.subnetAvailable = step.subnetAvailable
  if (step.subnetHasPrefixes !== undefined) provider.subnetHasPrefixes = step.subnetHasPrefixes
  if (step.instanceGone === true) {
    for (const name of names) provider.terminate(`i-${name}`)
    await fleet.advance(FULL_SYNC_MS)
  }
  for (const name of names) describe(fleet, name, step)
  await fleet.advance(STEP_MS)
  if (step.afterReleaseHandshake !== true) return
  for (let round = 0; round < RELEASE_ROUNDS; round++) {
    await fleet.advance(RELEASE_DELAY_MS)
    for (let exchange = 0; exchange < 2; exchange++) {
      for (const name of names) fleet.answer(name)
      await fleet.advance(STEP_MS)
    }
  }
}

/** The node's agent and its owner write the resource as the step says. */
function describe(fleet: FakeFleet, name: string, step: ScenarioStep): void {
  const ipam = {
    ...(step.preAllocate !== undefined && { preAllocate: step.preAllocate }),
    ...(step.minAllocate !== undefined && { minAllocate: step.minAllocate }),
    ...(step.maxAllocate !== undefined && { maxAllocate: step.maxAllocate }),
    ...(step.maxAboveWatermark !== undefined && { maxAboveWatermark: step.maxAboveWatermark }),
  }
  if (fleet.manager.get(name) === undefined) fleet.join({ name, ipam })
  else
    fleet.apiServer.change(name, (node) => ({ ...node, spec: { ...node.spec, ipam: { ...node.spec.ipam, ...ipam } } }))
  if (step.used !== undefined) fleet.use(name, step.used)
}

function stateOf(fleet: FakeFleet, name: string): JSONObject {
  const node = fleet.node(name)
  const { availableIPs, usedIPs, excessIPs } = node.stats().ipv4
  const interfaces = fleet.provider.cloud.get(node.instanceID())?.interfaces ?? []
  return {
    available: availableIPs,
    used: usedIPs,
    signedNeed: node.getNeededAddresses(),
    excess: excessIPs,
    interfaces: interfaces.length,
  }
}

function fleetOf({ provider, releaseExcess }: ScenarioInput, profile: IPAMProfile): FakeFleet {
  const isDelegating = provider.prefixDelegation === true || provider.prefixDelegated === true
  const config: Partial<ControllerConfig> = {
    releaseExcessIPs: releaseExcess,
    excessIPReleaseDelayMs: RELEASE_DELAY_MS,
    prefixDelegation: isDelegating,
    profile,
  }
  const fleet = new FakeFleet({ config, provider: providerOf(provider, isDelegating) })
  if (provider.subnetHasPrefixes !== undefined) fleet.provider.subnetHasPrefixes = provider.subnetHasPrefixes
  return fleet
}

function providerOf(provider: ScenarioInput['provider'], isDelegating: boolean): Omit<FakeProviderOptions, 'clock'> {
  const { adapters = 3, ipv4PerInterface = 10, firstInterfaceIndex = 0, poolSize, subnetAvailable = 10_000 } = provider
  if (provider.kind === 'flat') {
    return {
      isFlat: true,
      subnetAvailable: poolSize ?? subnetAvailable,
      instanceMax: provider.instanceMax ?? 0,
      instanceMin: provider.instanceMin ?? 8,
    }
  }
  return {
    limits: { adapters, ipv4: ipv4PerInterface, firstInterfaceIndex },
    subnetAvailable,
    prefixDelegation: isDelegating,
  }
}

function attachedOf({ provider }: ScenarioInput): readonly Partial<FakeInterface>[] {
  return (provider.attached ?? [{ index: 0 }]).map(({ index, addresses = 0, prefixes = 0, excluded = false }) => ({
    index,
    addresses: Array.from({ length: addresses }, (_, nth) => `172.16.${String(index)}.${String(nth + 1)}`),
    prefixes: Array.from({ length: prefixes }, (_, nth) => `172.17.${String(index)}.${String(nth * 16)}/28`),
    isExcluded: excluded,
  }))
}
