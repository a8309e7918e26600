import jsonPatch from 'fast-json-patch'
import type { Operation } from 'fast-json-patch'
import { isList, isObject } from './json.ts'
import type { JSONObject, JSONValue } from './json.ts'
import { badRequest, unprocessable, unsupportedMediaType } from './status-errors.ts'
import { strategicMerge } from './strategic-merge.ts'
import type { MergeKeys } from './strategic-merge.ts'

/** The patch formats that change a given object; server-side apply has a file of its own. */
export const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const

/** Operations of one JSON patch at most (apiserver pkg/endpoints/handlers/patch.go, maxJSONPatchOperations). */
const MAX_JSON_PATCH_OPERATIONS = 10_000

/**
 * The patched object; `target` is not changed, and parts that the patch does not touch are shared with it (except for JSON patch).
 *
 * @param mediaType of the request, without parameters
 * @param mergeKeys for strategic merge; undefined where the resource does not offer it
 * @throws APIStatusError 400 for a malformed patch, 415 for a format that is not offered, 422 for a JSON patch that does not apply
 */
export function applyPatch(
  target: JSONObject,
  patch: JSONValue,
  mediaType: string,
  mergeKeys: MergeKeys | undefined,
): JSONObject {
  switch (mediaType) {
    case PATCH_TYPES.json:
      return applyJSONPatch(target, patch)
    case PATCH_TYPES.merge:
      if (!isObject(patch)) throw badRequest('error decoding patch: a merge patch must be an object')
      return mergePatch(target, patch)
    case PATCH_TYPES.strategic:
      if (mergeKeys === undefined) break
      if (!isObject(patch)) throw badRequest('error decoding patch: a strategic merge patch must be an object')
      return strategicMerge(target, patch, mergeKeys)
    default:
  }
  const offered = Object.values(PATCH_TYPES).filter((type) => type !== PATCH_TYPES.strategic || mergeKeys !== undefined)
  throw unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${offered.join(', ')}`,
  )
}

/** RFC 7386: null deletes, objects merge, everything else replaces. */
export function mergePatch(target: JSONObject, patch: JSONObject): JSONObject {
  const merged: Record<string, JSONValue | undefined> = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      delete merged[key]
    } else if (isObject(value)) {
      const current = merged[key]
      merged[key] = mergePatch(isObject(current) ? current : {}, value)
    } else {
      merged[key] = value
    }
  }
  return merged
}

function applyJSONPatch(target: JSONObject, patch: JSONValue): JSONObject {
  if (!isList(patch)) throw badRequest('error decoding patch: json: a JSON patch must be a list of operations')
  if (patch.length > MAX_JSON_PATCH_OPERATIONS) {
    throw badRequest(
      `The allowed maximum operations in a JSON patch is ${MAX_JSON_PATCH_OPERATIONS}, got ${patch.length}`,
    )
  }
  try {
    const { newDocument } = jsonPatch.applyPatch<unknown>(target, patch as unknown as Operation[], true, false)
    if (!isObject(newDocument)) throw new Error('the patch replaces the whole object')
    return newDocument
  } catch (error) {
    throw unprocessable(error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error))
  }
}
