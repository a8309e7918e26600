const HIDDEN = '[removed]'

/** What looks like a secret, wherever it stands. The first group, where there is one, stays. */
const SECRETS: readonly RegExp[] = [
  // Credentials in a URL.
  /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi,
  // Access keys of AWS, long-lived and temporary. AWS documentation, IAM identifiers
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  // JSON web tokens: of service accounts, of Azure.
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
  /(\bBearer\s+)[\w.~+/-]{8,}=*/gi,
  // PEM keys, on one line or on many, also with \n written out.
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g,
  // Environment of a container, as JSON or as JSON within JSON: the name in one member, the value in the next.
  /(\\*"name\\*"\s*:\s*\\*"[^"\\]*(?:password|passwd|secret|token|credential|key)[^"\\]*\\*"\s*,\s*\\*"value\\*"\s*:\s*\\*")[^"\\]+/gi,
  // Values by their names, as JSON, YAML, flags or variables have them.
  /(\\*"?[\w.-]*(?:password|passwd|secret|token|credential|private[-_]?key|access[-_]?key|connection[-_]?string)[\w.-]*\\*"?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|\\+"[^"\\]*\\+"|'[^']*'|[^\s,;{}[\]"'\\]+)/gi,
]

/** Names that hold one of the words above and no secret. */
const HARMLESS = /^"?(?:[\w.-]*tokens?["\s:=]+[\d.]+|automountServiceAccountToken|berth_budget_tokens)/i

/** The text without what looks like a secret. Rather too much goes than too little. */
export function redact(text: string): string {
  return SECRETS.reduce((rest, pattern) => {
    return rest.replace(pattern, (match: string, ...groups: unknown[]) => {
      if (HARMLESS.test(match)) return match
      const [kept] = groups
      return typeof kept === 'string' ? `${kept}${HIDDEN}${pattern === SECRETS[0] ? '@' : ''}` : HIDDEN
    })
  }, text)
}
