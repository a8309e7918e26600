import ipaddr from 'ipaddr.js'

const CANONICAL_IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/

/**
 * The one text of an address, as Go's netip prints it; map keys are compared as text on both sides.
 *
 * @returns undefined when the text is no address: a zone, a leading zero (octal to some readers) and short forms are refused
 */
export function canonicalAddress(text: string): string | undefined {
  if (CANONICAL_IPV4.test(text)) return text
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined
  const address = ipaddr.IPv6.parse(text)
  // ipaddr.js prints a mapped address in hexadecimal, Go with dots.
  return address.isIPv4MappedAddress() ? `::ffff:${address.toIPv4Address().toString()}` : address.toRFC5952String()
}

/** Whether a text is a CIDR of either family; host bits may be set, as Go's `netip.ParsePrefix` allows. */
export function isCIDR(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/')
  if (rest.length > 0 || !/^\d{1,3}$/.test(length)) return false
  const isIPv4 = CANONICAL_IPV4.test(address)
  return Number(length) <= (isIPv4 ? 32 : 128) && (isIPv4 || canonicalAddress(address) !== undefined)
}
