import type { Clock } from '../kit/clock.ts'
import type { ObjectVersion } from './event-log.ts'
import type { ListPage } from './list.ts'
import type { JSONObject, JSONValue, KubernetesObject } from './json.ts'
import type { Representation } from './media-types.ts'
import type { ServedResource } from './registry.ts'
import { apiVersionOf } from './resources/definition.ts'
import type { TableColumn } from './resources/definition.ts'
import type { WatchRenderer } from './watch.ts'

/** Stored objects → the JSON text of answers, in the form and the version that the client asked for. */

/** How a table carries the objects of its rows. */
export type TableObjects = 'None' | 'Metadata' | 'Object'

export interface Form {
  readonly representation: Representation
  /** `includeObject` of a table request. */
  readonly tableObjects: TableObjects
}

const META_VERSION = 'meta.k8s.io/v1'

const NAME_COLUMN: Omit<TableColumn, 'cell'> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
}

export class Renderer implements WatchRenderer {
  readonly #resource: ServedResource
  readonly #form: Form
  readonly #clock: Clock
  readonly #apiVersion: string
  /** The stored form can be sent as it is. */
  readonly #isStoredVersion: boolean
  #isHeaderSent = false

  constructor(resource: ServedResource, form: Form, clock: Clock) {
    this.#resource = resource
    this.#form = form
    this.#clock = clock
    const { definition, version } = resource
    this.#apiVersion = apiVersionOf(definition.group, version.name)
    this.#isStoredVersion = version.name === definition.storageVersion
  }

  /** A single object, also that of a watch event; the header of a table comes with the first one only. */
  object(version: ObjectVersion): string {
    switch (this.#form.representation) {
      case 'object':
        return this.#whole(version)
      case 'metadata':
        return JSON.stringify(partial(version.object))
      case 'table': {
        const hasHeader = !this.#isHeaderSent
        this.#isHeaderSent = true
        return this.#table([version], { resourceVersion: version.object.metadata.resourceVersion }, hasHeader)
      }
      default:
        return this.#form.representation satisfies never
    }
  }

  list(page: ListPage): string {
    const metadata: JSONObject = {
      resourceVersion: String(page.resourceVersion),
      ...(page.continueToken === '' ? {} : { continue: page.continueToken }),
      ...(page.remainingItemCount === undefined ? {} : { remainingItemCount: page.remainingItemCount }),
    }
    switch (this.#form.representation) {
      case 'object': {
        const items = page.items.map((version) => this.#item(version)).join(',')
        const { listKind } = this.#resource.definition
        return `{"kind":"${listKind}","apiVersion":"${this.#apiVersion}","metadata":${JSON.stringify(metadata)},"items":[${items}]}`
      }
      case 'metadata': {
        const items = page.items.map((version) => partial(version.object))
        return JSON.stringify({ kind: 'PartialObjectMetadataList', apiVersion: META_VERSION, metadata, items })
      }
      case 'table':
        return this.#table(page.items, metadata, true)
      default:
        return this.#form.representation satisfies never
    }
  }

  bookmark(resourceVersion: number, annotations: Readonly<Record<string, string>> | undefined): string {
    const metadata = {
      resourceVersion: String(resourceVersion),
      creationTimestamp: null,
      ...(annotations === undefined ? {} : { annotations }),
    }
    switch (this.#form.representation) {
      case 'object':
        return JSON.stringify({ kind: this.#resource.definition.kind, apiVersion: this.#apiVersion, metadata })
      case 'metadata':
        return JSON.stringify({ kind: 'PartialObjectMetadata', apiVersion: META_VERSION, metadata })
      case 'table':
        return JSON.stringify({ kind: 'Table', apiVersion: META_VERSION, metadata, columnDefinitions: null, rows: [] })
      default:
        return this.#form.representation satisfies never
    }
  }

  #whole(version: ObjectVersion): string {
    return this.#isStoredVersion ? version.json : JSON.stringify({ ...version.object, apiVersion: this.#apiVersion })
  }

  /** Items of a built-in list carry no kind and apiVersion on the real server: a client must not rely on them. */
  #item(version: ObjectVersion): string {
    const { definition } = this.#resource
    if (definition.isCustom) return this.#whole(version)
    const type = `{"kind":"${definition.kind}","apiVersion":"${this.#apiVersion}",`
    const json = this.#whole(version)
    return json.startsWith(type) ? `{${json.slice(type.length)}` : json
  }

  #table(versions: readonly ObjectVersion[], metadata: JSONObject, hasHeader: boolean): string {
    const { columns } = this.#resource.version
    const now = this.#clock.wallTime()
    const columnDefinitions = [NAME_COLUMN, ...columns].map(({ name, type, format, description, priority }) => ({
      name,
      type,
      format,
      description,
      priority,
    }))
    const rows = versions.map(({ object }) => ({
      cells: [object.metadata.name, ...columns.map((column) => column.cell(object, now))],
      ...this.#rowObject(object),
    }))
    return JSON.stringify({
      kind: 'Table',
      apiVersion: META_VERSION,
      metadata,
      columnDefinitions: hasHeader ? columnDefinitions : null,
      rows,
    })
  }

  #rowObject(object: KubernetesObject): { readonly object?: JSONValue } {
    switch (this.#form.tableObjects) {
      case 'None':
        return {}
      case 'Metadata':
        return { object: partial(object) }
      case 'Object':
        return { object: { ...object, apiVersion: this.#apiVersion } }
      default:
        return this.#form.tableObjects satisfies never
    }
  }
}

function partial({ metadata }: KubernetesObject): JSONObject {
  return { kind: 'PartialObjectMetadata', apiVersion: META_VERSION, metadata }
}
