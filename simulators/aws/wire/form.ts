/** The fields of a request as sent: flat names (`Filter.1.Name`) and texts. */
export type Form = ReadonlyMap<string, string>

/**
 * Decodes `application/x-www-form-urlencoded`: the body of a POST or the query of a GET. A repeated name keeps its last value; a
 * broken percent sequence stands for itself.
 */
export function parseForm(text: string): Form {
  const form = new Map<string, string>()
  let start = 0
  while (start < text.length) {
    let end = text.indexOf('&', start)
    if (end < 0) end = text.length
    if (end > start) {
      const equals = text.indexOf('=', start)
      if (equals < 0 || equals > end) form.set(decode(text.slice(start, end)), '')
      else form.set(decode(text.slice(start, equals)), decode(text.slice(equals + 1, end)))
    }
    start = end + 1
  }
  return form
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

/** A parameter as the wire nests it: a text, or members by name or by 1-based position (`Filter.1.Value.2`). */
export type FormNode = string | FormTree
export type FormTree = Map<string, FormNode>

/** Gives the flat names of a form their nesting. A name that is both a text and a parent keeps its members. */
export function nest(form: Form): FormTree {
  const tree: FormTree = new Map()
  for (const [name, value] of form) {
    if (!name.includes('.')) {
      if (!tree.has(name)) tree.set(name, value)
      continue
    }
    let at = tree
    let start = 0
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', start)) {
      const step = name.slice(start, dot)
      let next = at.get(step)
      if (next === undefined || typeof next === 'string') {
        next = new Map()
        at.set(step, next)
      }
      at = next
      start = dot + 1
    }
    at.set(name.slice(start), value)
  }
  return tree
}
