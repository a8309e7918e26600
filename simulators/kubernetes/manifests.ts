import { readFileSync, readdirSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'
import { isObject } from './json.ts'
import type { JSONObject } from './json.ts'

const CRD_FOLDER = new URL('../../deploy/crds/', import.meta.url)

/**
 * The manifests of a folder, one or more to a file, files in the order of their names.
 *
 * @param folder by default that of the definitions this project ships
 * @throws Error naming the file that is not YAML or holds something else than objects
 */
export function readCRDManifests(folder: URL = CRD_FOLDER): readonly JSONObject[] {
  const files = readdirSync(folder)
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
  return files.flatMap((name) => parseManifests(readFileSync(new URL(name, folder), 'utf8'), name))
}

/** @param source names the text in errors */
export function parseManifests(text: string, source: string): readonly JSONObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [fault] = document.errors
    if (fault !== undefined) throw new Error(`Cannot read ${source}: ${fault.message.split('\n')[0] ?? ''}`)
    const value: unknown = document.toJS()
    if (value === null) return []
    if (!isObject(value)) throw new Error(`Cannot read ${source}: a manifest must be an object`)
    return [value]
  })
}
