import type { Logger } from '../ipam/contracts.ts'
import { parseAddress, parseCIDR } from '../ipam/ip-range.ts'
import type { JSONObject } from '../ipam/types.ts'
import type { Clock } from '../runtime/clock.ts'
import type { MTUConfiguration } from './configuration.ts'
import type { NodeInterface } from './node-interfaces.ts'
import { isExcludedENI, usesPrimaryAddress } from './eni-pools.ts'

/** A network device of the host. */
export interface LinkDevice {
  readonly name: string
  readonly mac: string
}

/** What setting up an attached interface asks of the host. Every call is idempotent: what is there already is no failure. */
export interface LinkInterface {
  list(): Promise<readonly LinkDevice[]>
  /** @param mtu bytes */
  setUp(device: string, mtu: number): Promise<void>
  /** @param address with the subnet's prefix length, e.g. `10.1.1.10/24` */
  addAddress(device: string, address: string): Promise<void>
  /** The link-scope route of a subnet with this source in the main table. */
  deleteLinkRoute(device: string, subnet: string, source: string): Promise<void>
  /** Answers of pods take another way than requests came: the kernel must not drop them. */
  disableReversePathFilter(device: string): Promise<void>
}

export interface ENIDevicesOptions {
  readonly links: LinkInterface
  readonly mtu: MTUConfiguration
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

/** Tries until a device is there (count), and the pauses between them. Cilium pkg/ipam/crd_eni.go, waitForNetlinkDevices. */
const DEVICE_TRIES = 15
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 30_000

/**
 * Sets up the devices of attached ENIs. Level, not edge: what a run could not set up, since the device came late or a
 * call failed, is tried again with the next version of the resource. (The reference tries once, when the ENI is new.)
 *
 * @source cilium pkg/ipam/crd_eni.go, configureENIDevices
 */
export class ENIDevices {
  readonly #options: ENIDevicesOptions
  /** IDs of interfaces that are set up. */
  readonly #done = new Set<string>()
  #isRunning = false
  #running: Promise<void> = Promise.resolve()
  #next: { readonly interfaces: readonly NodeInterface[]; readonly usesPrimary: boolean } | undefined

  constructor(options: ENIDevicesOptions) {
    this.#options = options
  }

  /**
   * The interfaces are those of the newest version. Returns at once.
   *
   * @param eniSpec `spec.eni`
   */
  update(interfaces: ReadonlyMap<string, NodeInterface>, eniSpec: JSONObject): void {
    for (const id of this.#done) if (!interfaces.has(id)) this.#done.delete(id)
    const missing = [...interfaces.values()].filter((eni) => !this.#done.has(eni.id) && !isExcludedENI(eni, eniSpec))
    this.#next = missing.length === 0 ? undefined : { interfaces: missing, usesPrimary: usesPrimaryAddress(eniSpec) }
    if (!this.#isRunning) this.#running = this.#run()
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    for (let work = this.#next; work !== undefined; work = this.#next) {
      this.#next = undefined
      const interfaces = work.interfaces.filter(({ id }) => !this.#done.has(id))
      try {
        const devices = await this.#waitForDevices(interfaces)
        for (const eni of interfaces) await this.#configure(eni, devices.get(eni.mac.toLowerCase()), work.usesPrimary)
      } catch (error) {
        if (this.#options.signal.aborted) break
        this.#options.log.error({ error }, 'Unable to set up the devices of new ENIs')
      }
    }
    this.#isRunning = false
  }

  /** All are awaited together. @returns MAC in lower case → device; what has not come in time is missing */
  async #waitForDevices(interfaces: readonly NodeInterface[]): Promise<ReadonlyMap<string, LinkDevice>> {
    const { links, clock, log, signal } = this.#options
    for (let attempt = 0; ; attempt++) {
      const devices = new Map((await links.list()).map((device) => [device.mac.toLowerCase(), device]))
      const missing = interfaces.filter(({ mac }) => !devices.has(mac.toLowerCase())).map(({ id }) => id)
      if (missing.length === 0) return devices
      if (attempt === DEVICE_TRIES - 1) {
        log.warn({ wanted: interfaces.length, missing }, 'Not every new ENI has a device yet: the others are set up')
        return devices
      }
      await clock.sleep(Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS), signal)
    }
  }

  async #configure(eni: NodeInterface, device: LinkDevice | undefined, usesPrimary: boolean): Promise<void> {
    if (device === undefined) return
    const { links, mtu, log } = this.#options
    const ip = parseAddress(eni.primaryIP)
    const subnet = parseCIDR(eni.subnetCIDR)
    if (ip === undefined || subnet === undefined) {
      log.error(
        { interfaceID: eni.id, address: eni.primaryIP, cidr: eni.subnetCIDR },
        'Skipped an ENI without valid address',
      )
      return
    }
    try {
      await links.setUp(device.name, mtu.getDeviceMTU())
      if (!usesPrimary) {
        await links.addAddress(device.name, `${ip.text}/${subnet.prefixLength}`)
        await links.deleteLinkRoute(device.name, eni.subnetCIDR, ip.text)
      }
      await links.disableReversePathFilter(device.name)
      this.#done.add(eni.id)
      log.info({ interfaceID: eni.id, device: device.name }, 'Set up the device of an ENI')
    } catch (error) {
      log.error({ interfaceID: eni.id, device: device.name, error }, 'Unable to set up the device of an ENI')
    }
  }
}
