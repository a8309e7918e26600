/**
 * What the CNI specification says of the JSON that an IPAM plug-in prints, as JSON Schemas.
 *
 * @source https://github.com/containernetworking/cni/blob/main/SPEC.md: "Success" of ADD and "Delegated plugins (IPAM)", "Error",
 *   "Version", for 1.0.0 and 1.1.0; the same file at spec-v0.3.0, spec-v0.3.1 and spec-v0.4.0: "IP Allocation", "Result"
 */

const cidr = {
  type: 'string',
  pattern: '^([0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}|[0-9a-f:]*:[0-9a-f:.]*/[0-9]{1,3})$',
}
const address = { type: 'string', pattern: '^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)$' }
const texts = { type: 'array', items: { type: 'string' } }

const route = {
  type: 'object',
  required: ['dst'],
  // mtu, advmss, priority, table and scope came with 1.1.0.
  properties: { dst: cidr, gw: address },
  additionalProperties: false,
}

const dns = {
  type: 'object',
  properties: { nameservers: texts, domain: { type: 'string' }, search: texts, options: texts },
  additionalProperties: false,
}

/** "IPAM plugins return an abbreviated Success result": no `interfaces`, and no `interface` in an entry of `ips`. */
function success(cniVersions: readonly string[], ip: object): object {
  return {
    type: 'object',
    required: ['cniVersion', 'ips'],
    properties: {
      cniVersion: { enum: cniVersions },
      ips: { type: 'array', items: ip },
      routes: { type: 'array', items: route },
      dns,
    },
    additionalProperties: false,
  }
}

/** "version (string): either "4" or "6"", required up to 0.4.0 and removed in 1.0.0. */
const SUCCESS_UP_TO_0_4 = success(['0.3.0', '0.3.1', '0.4.0'], {
  type: 'object',
  required: ['version', 'address'],
  properties: { version: { enum: ['4', '6'] }, address: cidr, gateway: address },
  additionalProperties: false,
})

const SUCCESS_SINCE_1_0 = success(['1.0.0', '1.1.0'], {
  type: 'object',
  required: ['address'],
  properties: { address: cidr, gateway: address },
  additionalProperties: false,
})

export function successSchema(cniVersion: string): object {
  return cniVersion.startsWith('0.') ? SUCCESS_UP_TO_0_4 : SUCCESS_SINCE_1_0
}

/** Codes 1 to 99 must not be used other than as specified; 50 and 51 belong to STATUS. */
export const ERROR_SCHEMA = {
  type: 'object',
  required: ['cniVersion', 'code', 'msg'],
  properties: {
    cniVersion: { type: 'string', pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$' },
    code: { anyOf: [{ enum: [1, 2, 3, 4, 5, 6, 7, 11, 50, 51] }, { type: 'integer', minimum: 100 }] },
    msg: { type: 'string', minLength: 1 },
    details: { type: 'string' },
  },
  additionalProperties: false,
}

export const VERSION_SCHEMA = {
  type: 'object',
  required: ['cniVersion', 'supportedVersions'],
  properties: { cniVersion: { type: 'string' }, supportedVersions: { ...texts, minItems: 1 } },
  additionalProperties: false,
}
