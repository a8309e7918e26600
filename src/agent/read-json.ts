import type { JSONObject, JSONValue } from '../ipam/types.ts'

/*
 * Lenient readers of a resource: what is missing or of another type counts as empty, as Go's zero values do. The API server
 * has checked the resource against its schema; what still surprises here must not take the node down.
 */

const NOTHING: JSONObject = {}

export function isObject(value: JSONValue | undefined): value is JSONObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function objectIn(from: JSONObject, key: string): JSONObject {
  const value = from[key]
  return isObject(value) ? value : NOTHING
}

export function textIn(from: JSONObject, key: string): string {
  const value = from[key]
  return typeof value === 'string' ? value : ''
}

/** A whole number from 0 on; anything else is 0. */
export function countIn(from: JSONObject, key: string): number {
  const value = from[key]
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : 0
}

export function listIn(from: JSONObject, key: string): readonly JSONValue[] {
  const value = from[key]
  return Array.isArray(value) ? (value as readonly JSONValue[]) : []
}

export function textsIn(from: JSONObject, key: string): readonly string[] {
  return listIn(from, key).filter((item) => typeof item === 'string')
}
