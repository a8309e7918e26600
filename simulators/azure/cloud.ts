import type { Clock } from '../kit/clock.ts'
import { drawDuration } from '../kit/latency.ts'
import type { DurationRange } from '../kit/latency.ts'
import { randomInteger, randomUUID, seededRandom } from '../kit/random.ts'
import type { Random } from '../kit/random.ts'
import { keyOf, resourceID } from './cloud/arm-id.ts'
import { OperationStore } from './cloud/async-operations.ts'
import { ResourceStore } from './cloud/resource-store.ts'
import { Schedule } from './cloud/schedule.ts'
import type { CloudSettings } from './cloud/settings.ts'
import type {
  NIC,
  PublicIPAddress,
  PublicIPPrefix,
  ScaleSet,
  ScaleSetVM,
  Subnet,
  VirtualMachine,
  VirtualNetwork,
} from './cloud/types.ts'
import { fault } from './errors.ts'

/** What a cloud is made of besides its contents. */
export interface CloudParts {
  readonly clock: Clock
  readonly settings: CloudSettings
  /** Identifiers, address choices and durations follow from it. */
  readonly seed: number
}

/** The resources of one group, by kind. */
export class ResourceGroup {
  readonly name: string
  readonly networks = new ResourceStore<VirtualNetwork>()
  readonly nics = new ResourceStore<NIC>()
  readonly scaleSets = new ResourceStore<ScaleSet>()
  readonly machines = new ResourceStore<VirtualMachine>()
  readonly publicIPs = new ResourceStore<PublicIPAddress>()
  readonly publicPrefixes = new ResourceStore<PublicIPPrefix>()

  constructor(name: string) {
    this.name = name
  }
}

/**
 * The simulated subscription in one region: what exists, and how to find it. The rules of each kind of resource are in `cloud/*.ts`,
 * functions that take the cloud first. What time brings about (the end of a write) waits in a schedule and is done when the cloud is
 * next looked at (`settle`); nothing here runs by itself.
 */
export class Cloud {
  readonly clock: Clock
  readonly settings: CloudSettings
  readonly schedule = new Schedule()
  readonly operations = new OperationStore()
  /** All virtual networks of the subscription, and all subnets by key. */
  readonly networks = new ResourceStore<VirtualNetwork>()
  readonly subnets = new Map<string, Subnet>()
  /** All interfaces, those of scale sets among them. */
  readonly nics = new Map<string, NIC>()
  readonly scaleSetVMs = new Map<string, ScaleSetVM>()
  readonly randomAddresses: Random
  readonly randomTimes: Random
  readonly randomIDs: Random
  readonly #groups = new Map<string, ResourceGroup>()
  #publicIPCount = 0

  constructor({ clock, settings, seed }: CloudParts) {
    this.clock = clock
    this.settings = settings
    this.randomIDs = seededRandom(seed)
    this.randomAddresses = seededRandom(seed ^ 0x51ed270b)
    this.randomTimes = seededRandom(seed ^ 0x2545f491)
  }

  now(): number {
    return this.clock.now()
  }

  /** Does everything that has fallen due. To be called before the cloud is looked at. */
  settle(): void {
    this.schedule.runDue(this.now())
  }

  get groups(): readonly ResourceGroup[] {
    return [...this.#groups.values()]
  }

  addGroup(name: string): ResourceGroup {
    const known = this.#groups.get(keyOf(name))
    if (known !== undefined) return known
    const group = new ResourceGroup(name)
    this.#groups.set(keyOf(name), group)
    return group
  }

  findGroup(name: string): ResourceGroup | undefined {
    return this.#groups.get(keyOf(name))
  }

  /** @throws ARMError ResourceGroupNotFound */
  group(name: string): ResourceGroup {
    const found = this.#groups.get(keyOf(name))
    if (found === undefined) throw fault('ResourceGroupNotFound', name)
    return found
  }

  /** `type` with its namespace. */
  resourceID(group: string, type: string, name: string): string {
    return resourceID(this.settings.subscriptionID, group, type, name)
  }

  newUUID(): string {
    return randomUUID(this.randomIDs)
  }

  /** Entity tag of a network resource. */
  newETag(): string {
    return `W/"${randomUUID(this.randomIDs)}"`
  }

  /** Of the range of Microsoft. */
  newMAC(): string {
    const octet = (): string => randomInteger(this.randomIDs, 256).toString(16).toUpperCase().padStart(2, '0')
    return `00-0D-3A-${octet()}-${octet()}-${octet()}`
  }

  /** Numbers the public addresses that belong to no prefix, from 1. */
  nextPublicIP(): number {
    return ++this.#publicIPCount
  }

  /** A time of the range, drawn evenly. */
  duration(range: DurationRange): number {
    return drawDuration(range, this.randomTimes)
  }
}
