/**
 * The words of a failure, as they go into a message of one line. A TLS client that meets a server without TLS is told by OpenSSL about a
 * "wrong version number", in several lines; a person mistyped the address.
 */
export function plainWords(text: string): string {
  return text
    .replace(
      /write EPROTO[\s\S]*wrong version number[\s\S]*$/,
      'it answers without TLS, so its address begins with http://',
    )
    .replaceAll(/\s+/g, ' ')
    .trim()
}
