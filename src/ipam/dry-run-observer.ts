/** A change of one instance, in counts; a prefix counts as its 16 addresses. */
export interface InterfaceTally {
  /** Attached interfaces that came. */
  readonly interfaces: number
  /** Addresses that came, those of new interfaces apart from their primary one. */
  readonly addresses: number
  /** Addresses that went. */
  readonly released: number
}

/** What a dry run learns: of itself and of others. */
export interface DryRunObserver {
  /** A call that a real run would have made. @param tally what it would have changed on the instance, empty ID: of none */
  planned(action: string, instanceID: string, tally: InterfaceTally): void
  /** What listings show that somebody else did to an instance. */
  observed(instanceID: string, tally: InterfaceTally): void
}
