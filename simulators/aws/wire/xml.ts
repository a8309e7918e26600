/** What an answer can hold. Lists become `<item>` elements, undefined members are left out, dates are ISO 8601 in UTC. */
export type XMLValue = string | number | boolean | Date | undefined | XMLObject | readonly XMLValue[]
/** Members by element name, in the order in which they are written. */
export type XMLObject = { readonly [name: string]: XMLValue }

/** Namespace of every answer: the API version is part of it. */
const NAMESPACE = 'http://ec2.amazonaws.com/doc/2016-11-15/'
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** A successful answer: root `<Action>Response`, first child `requestId`. */
export function encodeResponse(action: string, requestID: string, result: XMLObject): string {
  const root = `${action}Response`
  return `${DECLARATION}<${root} xmlns="${NAMESPACE}">\n<requestId>${requestID}</requestId>${members(result)}</${root}>`
}

/** An error answer: root `Response`, `Errors/Error` with code and text, `RequestID` in capitals. */
export function encodeError(code: string, message: string, requestID: string): string {
  const error = `<Error><Code>${escape(code)}</Code><Message>${escape(message)}</Message></Error>`
  return `${DECLARATION}<Response><Errors>${error}</Errors><RequestID>${requestID}</RequestID></Response>`
}

function members(object: XMLObject): string {
  let xml = ''
  for (const name in object) {
    const value = object[name]
    if (value !== undefined) xml += `<${name}>${content(value)}</${name}>`
  }
  return xml
}

function content(value: Exclude<XMLValue, undefined>): string {
  if (typeof value === 'string') return escape(value)
  if (typeof value !== 'object') return String(value)
  if (isList(value)) {
    let items = ''
    for (const item of value) items += item === undefined ? '' : `<item>${content(item)}</item>`
    return items
  }
  return value instanceof Date ? value.toISOString() : members(value)
}

function isList(value: Date | XMLObject | readonly XMLValue[]): value is readonly XMLValue[] {
  return Array.isArray(value)
}

const MARKUP_GLOBAL = /[<>&"'\r]/g
/** A quick look for anything that needs care: nearly no text does. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const SPECIAL = /[<>&"'\u0000-\u0008\u000b-\u001f\ufffe\uffff]/
// Characters that XML 1.0 cannot carry in any form; a parser would refuse the whole answer.
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g
const ENTITIES: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '"': '&quot;',
  "'": '&apos;',
  '\r': '&#xD;',
}

function escape(text: string): string {
  if (!SPECIAL.test(text)) return text
  return text.replace(FORBIDDEN, '').replace(MARKUP_GLOBAL, (character) => ENTITIES[character] ?? character)
}
