/** How one kind's result is compared with its expectation. Paths are dotted, `*` stands for any one key or index. */
export interface ComparisonRules {
  /** Lists without order: those of addresses and CIDRs only (default), all, or none. */
  readonly listOrder?: 'addresses-unordered' | 'unordered' | 'ordered'
  /** Lists that are compared in order whatever `listOrder` says. */
  readonly ordered?: readonly string[]
  /** Lists that are compared without order whatever `listOrder` says. */
  readonly unordered?: readonly string[]
  /** Objects of which only the expected members are compared; the top level is always one. */
  readonly partial?: readonly string[]
  /** Numbers are equal within this. */
  readonly tolerance?: { readonly absolute: number } | { readonly relative: number }
}
