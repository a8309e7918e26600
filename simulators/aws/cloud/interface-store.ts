import { OrderedIndex } from './ordered-index.ts'
import type { Instance, NetworkInterface, Subnet, VPC } from './types.ts'

/**
 * The interfaces of the account, findable by what listings ask for. Indexes follow the order of creation; an interface that was
 * deleted but may still be listed stays in them, yet is no longer found by id.
 */
export class InterfaceStore {
  readonly #byID = new Map<string, NetworkInterface>()
  readonly #all = new OrderedIndex<NetworkInterface>()
  readonly #bySubnet = new Map<Subnet, OrderedIndex<NetworkInterface>>()
  readonly #byVPC = new Map<VPC, OrderedIndex<NetworkInterface>>()
  /** Without attachment, or being detached. */
  readonly #loose = new OrderedIndex<NetworkInterface>()
  readonly #byAttachment = new Map<string, NetworkInterface>()
  #lingering: NetworkInterface[] = []

  /** Interfaces that exist (count). */
  get count(): number {
    return this.#byID.size
  }

  get(id: string): NetworkInterface | undefined {
    return this.#byID.get(id)
  }

  byAttachment(attachmentID: string): NetworkInterface | undefined {
    return this.#byAttachment.get(attachmentID)
  }

  existing(): Iterable<NetworkInterface> {
    return this.#byID.values()
  }

  /** For listings. @param nowMs forgets deleted interfaces that are no longer to be seen */
  all(nowMs: number): OrderedIndex<NetworkInterface> {
    this.#purge(nowMs)
    return this.#all
  }

  inSubnet(subnet: Subnet, nowMs: number): OrderedIndex<NetworkInterface> {
    this.#purge(nowMs)
    return this.#bySubnet.get(subnet) ?? new OrderedIndex()
  }

  inVPC(vpc: VPC, nowMs: number): OrderedIndex<NetworkInterface> {
    this.#purge(nowMs)
    return this.#byVPC.get(vpc) ?? new OrderedIndex()
  }

  loose(nowMs: number): OrderedIndex<NetworkInterface> {
    this.#purge(nowMs)
    return this.#loose
  }

  add(iface: NetworkInterface): void {
    this.#byID.set(iface.id, iface)
    this.#all.add(iface)
    indexOf(this.#bySubnet, iface.subnet).add(iface)
    indexOf(this.#byVPC, iface.subnet.vpc).add(iface)
    if (iface.attachment === undefined) this.#loose.add(iface)
    else this.attached(iface, iface.attachment.id, iface.attachment.instance)
  }

  /** Enters an attachment that the caller has put on the interface. */
  attached(iface: NetworkInterface, attachmentID: string, instance: Instance): void {
    this.#byAttachment.set(attachmentID, iface)
    if (!instance.interfaces.includes(iface)) instance.interfaces.push(iface)
    if (iface.attachment?.detachedAtMs === undefined) this.#loose.delete(iface)
    else this.#loose.add(iface)
  }

  /** The interface is being detached: listings of unattached interfaces have to look at it again. */
  detaching(iface: NetworkInterface): void {
    this.#loose.add(iface)
  }

  /** Takes an attachment off its interface and its instance. */
  detach(iface: NetworkInterface): void {
    const { attachment } = iface
    if (attachment === undefined) return
    this.#byAttachment.delete(attachment.id)
    const { interfaces } = attachment.instance
    const at = interfaces.indexOf(iface)
    if (at >= 0) interfaces.splice(at, 1)
    iface.attachment = undefined
    this.#loose.add(iface)
  }

  /** @param goneAtMs until when listings may still show it; not later than `nowMs` forgets it at once */
  delete(iface: NetworkInterface, goneAtMs: number, nowMs: number): void {
    this.#byID.delete(iface.id)
    iface.goneAtMs = goneAtMs
    if (goneAtMs > nowMs) this.#lingering.push(iface)
    else this.#forget(iface)
  }

  #purge(nowMs: number): void {
    if (this.#lingering.length === 0) return
    const isOver = (iface: NetworkInterface): boolean => (iface.goneAtMs ?? 0) <= nowMs
    for (const iface of this.#lingering) if (isOver(iface)) this.#forget(iface)
    this.#lingering = this.#lingering.filter((iface) => !isOver(iface))
  }

  #forget(iface: NetworkInterface): void {
    this.#all.delete(iface)
    this.#bySubnet.get(iface.subnet)?.delete(iface)
    this.#byVPC.get(iface.subnet.vpc)?.delete(iface)
    this.#loose.delete(iface)
  }
}

function indexOf<K>(indexes: Map<K, OrderedIndex<NetworkInterface>>, key: K): OrderedIndex<NetworkInterface> {
  let index = indexes.get(key)
  if (index === undefined) {
    index = new OrderedIndex()
    indexes.set(key, index)
  }
  return index
}
