import type { Cloud } from '../cloud.ts'
import type { IDKind } from '../cloud/ids.ts'
import type { Ordered } from '../cloud/ordered-index.ts'
import type { ResourceStore } from '../cloud/resource-store.ts'
import type { Tags } from '../cloud/types.ts'
import type { FilteredAction, FilterTable } from '../filters.ts'
import { listPage } from '../listing.ts'
import { operation } from '../operation.ts'
import type { Operation } from '../operation.ts'
import { filterField, id, integer, list, required, text } from '../wire/parameters.ts'
import type { Field } from '../wire/parameters.ts'
import type { XMLObject } from '../wire/xml.ts'

/** A listing of all resources of one kind: by ids, by filters, in pages. */
export interface StoredListing<T extends Ordered & { readonly id: string; readonly tags: Tags }> {
  readonly action: FilteredAction
  /** The parameter of ids: on the wire (`SubnetId`), in texts (`subnetIds`), and what kind of ids they are. */
  readonly ids: { readonly parameter: string; readonly inTexts: string; readonly kind: IDKind }
  readonly filters: FilterTable<T>
  readonly pageSize: { readonly min: number; readonly max: number }
  /** Absent: everything comes at once when no page size is asked for. */
  readonly defaultPageSize?: number
  /** Name of the set in the answer. */
  readonly answer: string
  store(cloud: Cloud): ResourceStore<T>
  /** @throws EC2Error NotFound of the kind */
  find(cloud: Cloud, id: string): T
  present(cloud: Cloud, item: T): XMLObject
}

export function storedListing<T extends Ordered & { readonly id: string; readonly tags: Tags }>(
  listing: StoredListing<T>,
): Operation {
  const { action, ids, filters, pageSize, defaultPageSize, answer } = listing
  const named: Readonly<Record<string, Field<readonly string[]>>> = { [ids.parameter]: list(required(id(ids.kind))) }
  return operation({
    action,
    changes: false,
    parameters: { Filter: filterField, MaxResults: integer({ min: 0 }), NextToken: text(), ...named },
    execute(cloud, parameters) {
      const { items, nextToken } = listPage<T>(
        parameters,
        {
          action,
          filters,
          pageSize,
          ...(defaultPageSize !== undefined && { defaultPageSize }),
          ids: {
            parameter: ids.inTexts,
            values: (parameters as Readonly<Record<string, unknown>>)[ids.parameter] as readonly string[], // as `named` reads it
            find: (one) => listing.find(cloud, one),
          },
          candidates: () => listing.store(cloud).ordered,
          shortPages: cloud.settings.shortPages,
        },
        cloud.now(),
      )
      return { [answer]: items.map((item) => listing.present(cloud, item)), nextToken }
    },
  })
}
