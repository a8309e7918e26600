import { PREFIX_BITS, parseBlock, parseIPv4 } from '../../kit/ipv4.ts'
import { fault } from '../errors.ts'
import type { Field } from './parameters.ts'

/** An IPv4 address, read as an unsigned integer. */
export function ipv4Address(): Field<number | undefined> {
  return {
    read(node, name) {
      if (node === undefined) return undefined
      const address = typeof node === 'string' ? parseIPv4(node) : undefined
      if (address === undefined) throw invalid(node, name)
      return address
    },
  }
}

/** A /28, read as its first address. */
export function ipv4Prefix(): Field<number | undefined> {
  return {
    read(node, name) {
      if (node === undefined) return undefined
      const block = typeof node === 'string' ? parseBlock(node) : undefined
      if (block?.bits !== PREFIX_BITS) throw invalid(node, name)
      return block.base
    },
  }
}

function invalid(node: unknown, name: string): Error {
  return fault('InvalidParameterValue', `invalid value for parameter ${name}: ${typeof node === 'string' ? node : ''}`)
}

/**
 * Refuses parameters that exclude each other.
 *
 * @param given whether each of them is there, by name
 * @throws EC2Error InvalidParameterCombination when more than one is
 */
export function atMostOne(given: Readonly<Record<string, boolean>>): void {
  const names = Object.keys(given).filter((name) => given[name])
  if (names.length > 1) {
    throw fault('InvalidParameterCombination', `The parameters ${names.join(' and ')} may not be specified together`)
  }
}
