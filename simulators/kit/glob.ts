/**
 * A pattern with wildcards as a test: `*` stands for any run of characters, `?` for exactly one, a backslash makes the next
 * character plain. Everything else stands for itself, case counts. Compiled once, without regular expressions, so that no pattern
 * can take more than pattern × text steps.
 */
export function globMatcher(pattern: string): (text: string) => boolean {
  if (pattern === '*') return () => true
  if (!hasWildcard(pattern)) {
    const literal = unescapeGlob(pattern)
    return (text) => text === literal
  }
  const tokens = tokenize(pattern)
  return (text) => matches(tokens, text)
}

/** Anything that does not stand for itself. */
const SPECIAL = /[*?\\]/

/** Whether a pattern of `globMatcher` holds a wildcard, so that it can match more than one text. */
export function hasWildcard(pattern: string): boolean {
  return SPECIAL.test(pattern) && tokenize(pattern).some((token) => typeof token === 'string')
}

/** The single text that a pattern without wildcards matches. */
export function unescapeGlob(pattern: string): string {
  if (!SPECIAL.test(pattern)) return pattern
  return tokenize(pattern)
    .map((token) => (typeof token === 'object' ? token.plain : token))
    .join('')
}

type Token = '*' | '?' | { readonly plain: string }

function tokenize(pattern: string): readonly Token[] {
  const tokens: Token[] = []
  for (let index = 0; index < pattern.length; index++) {
    const character = pattern.charAt(index)
    if (character === '*' || character === '?') tokens.push(character)
    else if (character === '\\' && index + 1 < pattern.length) tokens.push({ plain: pattern.charAt(++index) })
    else tokens.push({ plain: character })
  }
  return tokens
}

/** Greedy matching that backtracks only to the last star. */
function matches(tokens: readonly Token[], text: string): boolean {
  let token = 0
  let at = 0
  let starToken = -1
  let starAt = 0
  while (at < text.length) {
    const current = tokens[token]
    if (current === '*') {
      starToken = token++
      starAt = at
    } else if (current === '?' || (typeof current === 'object' && current.plain === text.charAt(at))) {
      token++
      at++
    } else if (starToken >= 0) {
      token = starToken + 1
      at = ++starAt
    } else {
      return false
    }
  }
  while (tokens[token] === '*') token++
  return token === tokens.length
}
