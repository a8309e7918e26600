import type { ErrorObject } from 'ajv'
import { isList, isObject } from './json.ts'
import type { JSONObject, JSONValue } from './json.ts'
import type { StatusCause } from './status-errors.ts'

/**
 * Faults that ajv found → causes of a 422 in the words of the real server (kube-openapi/pkg/validation/errors and
 * apiextensions-apiserver/pkg/apiserver/validation).
 */
export function causesOf(errors: readonly ErrorObject[], object: JSONObject): readonly StatusCause[] {
  return errors.flatMap((error) => {
    const cause = causeOf(error, fieldPath(error.instancePath, object))
    return cause === undefined ? [] : [cause]
  })
}

function causeOf(error: ErrorObject, field: string): StatusCause | undefined {
  const parameters = error.params as Readonly<Record<string, unknown>>
  const limit = String(parameters['limit'])
  const invalid = (shown: string, detail: string, reason = 'FieldValueInvalid'): StatusCause => ({
    reason,
    message: `Invalid value: ${shown}: ${field} in body ${detail}`,
    field,
  })
  const shown = show(error.data as JSONValue)
  switch (error.keyword) {
    case 'required': {
      const missing = String(parameters['missingProperty'])
      return {
        reason: 'FieldValueRequired',
        message: 'Required value',
        field: field === '' ? missing : `${field}.${missing}`,
      }
    }
    case 'type': {
      const actual = JSON.stringify(typeName(error.data as JSONValue))
      return invalid(actual, `must be of type ${wantedType(parameters['type'])}: ${actual}`, 'FieldValueTypeInvalid')
    }
    case 'enum': {
      const allowed = (parameters['allowedValues'] as readonly JSONValue[]).map((value) => JSON.stringify(value))
      return {
        reason: 'FieldValueNotSupported',
        message: `Unsupported value: ${shown}: supported values: ${allowed.join(', ')}`,
        field,
      }
    }
    case 'format':
      return invalid(shown, `must be of type ${String(parameters['format'])}: ${shown}`)
    case 'minimum':
      return invalid(shown, `should be greater than or equal to ${limit}`)
    case 'exclusiveMinimum':
      return invalid(shown, `should be greater than ${limit}`)
    case 'maximum':
      return invalid(shown, `should be less than or equal to ${limit}`)
    case 'exclusiveMaximum':
      return invalid(shown, `should be less than ${limit}`)
    case 'multipleOf':
      return invalid(shown, `should be a multiple of ${String(parameters['multipleOf'])}`)
    case 'minLength':
      return invalid(shown, `should be at least ${limit} chars long`)
    case 'maxLength':
      return {
        reason: 'FieldValueTooLong',
        message: `Too long: may not be more than ${limit} bytes`,
        field,
      }
    case 'pattern':
      return invalid(shown, `should match '${String(parameters['pattern'])}'`)
    case 'minItems':
      return invalid(lengthOf(error.data), `should have at least ${limit} items`)
    case 'maxItems':
      return {
        reason: 'FieldValueTooMany',
        message: `Too many: ${lengthOf(error.data)}: must have at most ${limit} items`,
        field,
      }
    case 'minProperties':
      return invalid(lengthOf(error.data), `should have at least ${limit} properties`)
    case 'maxProperties':
      return {
        reason: 'FieldValueTooMany',
        message: `Too many: ${lengthOf(error.data)}: must have at most ${limit} items`,
        field,
      }
    case 'uniqueItems':
      return { reason: 'FieldValueDuplicate', message: 'Duplicate value', field }
    case 'anyOf':
    case 'oneOf':
    case 'allOf':
    case 'not':
      return invalid(shown, `must validate the schema (${error.keyword})`)
    default:
      return invalid(shown, error.message ?? `breaks ${error.keyword}`)
  }
}

function wantedType(type: unknown): string {
  return isList(type)
    ? type
        .map(String)
        .filter((one) => one !== 'null')
        .join(',')
    : String(type)
}

function typeName(value: JSONValue | undefined): string {
  if (value === null) return 'null'
  if (isList(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function lengthOf(value: unknown): string {
  if (isList(value)) return String(value.length)
  return String(isObject(value) ? Object.keys(value).length : 0)
}

function show(value: JSONValue | undefined): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(typeName(value)) : JSON.stringify(value ?? null)
}

/** `/spec/pools/0/pool` → `spec.pools[0].pool`; the object tells list indexes and map keys apart. */
export function fieldPath(pointer: string, object: JSONObject): string {
  let value: JSONValue | undefined = object
  let path = ''
  for (const raw of pointer.split('/').slice(1)) {
    const step = raw.replaceAll('~1', '/').replaceAll('~0', '~')
    if (isList(value)) {
      path += `[${step}]`
      value = value[Number(step)]
    } else {
      path += path === '' ? step : `.${step}`
      value = isObject(value) ? value[step] : undefined
    }
  }
  return path
}
