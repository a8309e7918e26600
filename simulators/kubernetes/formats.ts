import { isIP, isIPv4, isIPv6 } from 'node:net'
import type { Format } from 'ajv'

/**
 * The formats that the API server enforces on custom resources (k8s.io/kube-openapi/pkg/validation/strfmt); any other name is
 * ignored there, and here. The empty text fails all of them.
 */
export const FORMATS: Readonly<Record<string, Format>> = {
  cidr: isCIDR,
  ip: (text: string) => isIP(text) !== 0,
  ipv4: isIPv4,
  ipv6: isIPv6,
  'date-time': (text: string) =>
    /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text)),
  date: (text: string) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  duration: (text: string) => /^-?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$/.test(text) || text === '0',
  uuid: /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
  mac: /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i,
  hostname: /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*$/i,
  email: /^[^@\s]+@[^@\s]+$/,
  uri: (text: string) => URL.canParse(text),
  byte: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  int32: { type: 'number', validate: (value: number) => value >= -(2 ** 31) && value < 2 ** 31 },
  int64: { type: 'number', validate: (value: number) => value >= -(2 ** 63) && value < 2 ** 63 },
}

/** As Go's net.ParseCIDR: an address of either family, a slash, a plain prefix length; host bits may be set. */
function isCIDR(text: string): boolean {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text)
  const [, address = '', length = ''] = match ?? []
  const family = isIP(address)
  return family !== 0 && !address.includes('%') && Number(length) <= (family === 4 ? 32 : 128) && !/^0\d/.test(length)
}
