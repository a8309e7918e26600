import { fault } from '../errors.ts'
import { malformedID, isID } from '../cloud/ids.ts'
import type { IDKind } from '../cloud/ids.ts'
import type { FormNode, FormTree } from './form.ts'

/** How one parameter is read from the wire. `name` is its full name there (`Filter.1.Name`), for errors. */
export interface Field<T> {
  /** @throws EC2Error MissingParameter, UnknownParameter, InvalidParameterValue or a malformed-id code */
  read(node: FormNode | undefined, name: string): T
}

/** The parameters of an action, by their names on the wire. */
export type Schema = Readonly<Record<string, Field<unknown>>>
/** What a schema reads. */
export type ParametersOf<S extends Schema> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never }

function textOf(node: FormNode, name: string): string {
  if (typeof node === 'string') return node
  throw fault('UnknownParameter', `${name}.${[...node.keys()][0] ?? ''}`)
}

/** An optional parameter whose text `parse` understands. */
function scalar<T>(parse: (text: string, name: string) => T): Field<T | undefined> {
  return { read: (node, name) => (node === undefined ? undefined : parse(textOf(node, name), name)) }
}

/** The parameter must be there, and not be an empty text. */
export function required<T>(field: Field<T | undefined>): Field<T> {
  return {
    read(node, name) {
      const value = node === '' ? undefined : field.read(node, name)
      if (value === undefined || (Array.isArray(value) && value.length === 0)) throw fault('MissingParameter', name)
      return value
    },
  }
}

/** @param options.maxLength longest text (characters) */
export function text(options: { readonly maxLength?: number } = {}): Field<string | undefined> {
  const { maxLength } = options
  return scalar((value, name) => {
    if (maxLength !== undefined && value.length > maxLength) {
      throw fault(
        'InvalidParameterValue',
        `Value (${value}) for parameter ${name} is invalid. Length exceeds ${maxLength}.`,
      )
    }
    return value
  })
}

/** Longest client token (characters), all of them ASCII. @source Amazon EC2 API Reference, ensuring idempotency */
const MAX_TOKEN_LENGTH = 64

export function clientToken(): Field<string | undefined> {
  return scalar((value, name) => {
    if (value.length > MAX_TOKEN_LENGTH || !/^[\x20-\x7e]*$/.test(value)) throw invalidValue(value, name)
    return value
  })
}

export function choice<T extends string>(...choices: readonly T[]): Field<T | undefined> {
  return scalar((value, name) => {
    const found = choices.find((one) => one === value)
    if (found === undefined) throw invalidValue(value, name)
    return found
  })
}

/** An id of the given kind; anything not of its form is the kind's malformed error. */
export function id(kind: IDKind): Field<string | undefined> {
  return scalar((value) => {
    if (!isID(kind, value)) throw malformedID(kind, value)
    return value
  })
}

/** A whole number. Bounds are inclusive. */
export function integer(range: { readonly min: number; readonly max?: number }): Field<number | undefined> {
  return scalar((value, name) => {
    const number = /^-?\d{1,10}$/.test(value) ? Number(value) : NaN
    if (!(number >= range.min && number <= (range.max ?? Infinity))) throw invalidValue(value, name)
    return number
  })
}

export function flag(): Field<boolean | undefined> {
  return scalar((value, name) => {
    switch (value.toLowerCase()) {
      case 'true':
        return true
      case 'false':
        return false
      default:
        throw invalidValue(value, name)
    }
  })
}

/**
 * Members numbered from 1 (`Name.1`, `Name.2`); empty when absent. Gaps are allowed, order is by number.
 *
 * @param options.max members at most (count)
 */
export function list<T>(element: Field<T>, options: { readonly max?: number } = {}): Field<readonly T[]> {
  return {
    read(node, name) {
      if (node === undefined || node === '') return []
      if (typeof node === 'string') throw fault('UnknownParameter', name)
      if (options.max !== undefined && node.size > options.max) {
        throw fault('InvalidParameterValue', `${name} has more than ${options.max} members.`)
      }
      const members: [position: number, value: T][] = []
      for (const [key, member] of node) {
        if (!/^[1-9]\d{0,5}$/.test(key)) throw fault('UnknownParameter', `${name}.${key}`)
        members.push([Number(key), element.read(member, `${name}.${key}`)])
      }
      return members.sort(([a], [b]) => a - b).map(([, value]) => value)
    },
  }
}

/** Named members (`Attachment.AttachmentId`); undefined when absent. */
export function structure<S extends Schema>(schema: S): Field<ParametersOf<S> | undefined> {
  return {
    read(node, name) {
      if (node === undefined) return undefined
      if (typeof node === 'string') throw fault('UnknownParameter', name)
      return readSchema(schema, node, `${name}.`)
    },
  }
}

/**
 * Reads a level of nested parameters.
 *
 * @param prefix of the names in errors, with its dot
 * @throws EC2Error UnknownParameter for a name that the schema lacks
 */
export function readSchema<S extends Schema>(schema: S, tree: FormTree, prefix: string): ParametersOf<S> {
  const parameters: Record<string, unknown> = {}
  for (const name in schema) {
    parameters[name] = schema[name]?.read(tree.get(name), prefix + name)
  }
  for (const name of tree.keys()) {
    if (!Object.hasOwn(schema, name)) throw fault('UnknownParameter', prefix + name)
  }
  return parameters as ParametersOf<S>
}

function invalidValue(value: string, name: string): Error {
  return fault('InvalidParameterValue', `Value (${value}) for parameter ${name} is invalid.`)
}

export const filterField = list(required(structure({ Name: required(text()), Value: list(required(text())) })))

export const tagSpecificationField = list(
  required(
    structure({
      ResourceType: required(text()),
      Tag: list(required(structure({ Key: required(text()), Value: text() }))),
    }),
  ),
)
