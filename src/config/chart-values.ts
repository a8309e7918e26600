import type { OptionDescription } from './schema.ts'
import { describeOptions } from './schema.ts'

/** A JSON Schema, draft 7: what Helm checks values with. */
export type JSONSchema = Readonly<Record<string, unknown>>

const TEXT: JSONSchema = { type: 'string' }
const TEXT_MAP: JSONSchema = { type: 'object', additionalProperties: TEXT }
const OBJECT: JSONSchema = { type: 'object' }
const BOOLEAN: JSONSchema = { type: 'boolean' }

/** The chart sets these itself: where the program listens, and where its files are. */
const SET_BY_CHART: ReadonlySet<string> = new Set(['operator-prometheus-serve-addr', 'k8s-namespace', 'budget-table'])

/** What a value of each kind may be in YAML; whatever is written becomes a text in the ConfigMap. */
const BY_KIND: Readonly<Record<string, JSONSchema>> = {
  bool: { enum: [true, false, 'true', 'false'] },
  int: { type: ['integer', 'string'], pattern: '^-?\\d+$' },
  float: { type: ['number', 'string'], pattern: '^-?\\d+(\\.\\d+)?$' },
  duration: { type: ['string', 'integer'], pattern: '^(0|((\\d+\\.?\\d*|\\.\\d+)(ns|us|µs|ms|s|m|h))+)$', maximum: 0 },
  seconds: {
    type: ['integer', 'string'],
    pattern: '^(\\d+|((\\d+\\.?\\d*|\\.\\d+)(ns|us|µs|ms|s|m|h))+)$',
    minimum: 0,
  },
  list: { type: ['string', 'array'], items: TEXT },
  map: { type: ['string', 'object'], additionalProperties: TEXT },
}

/** The schema of one option of the controller. */
export function optionSchema({ valueName, help, defaultText }: OptionDescription): JSONSchema {
  const schema = BY_KIND[valueName] ?? (valueName.includes('|') ? { enum: valueName.split('|') } : TEXT)
  return { ...schema, description: defaultText === undefined ? help : `${help} (${defaultText})` }
}

/**
 * `deploy/kubernetes/chart/values.schema.json`: the options come from the table of options, so that a misspelt one is refused before
 * anything is installed.
 */
export function chartValuesSchema(): JSONSchema {
  const options = describeOptions().filter(({ name }) => !SET_BY_CHART.has(name))
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart',
    ...closed({
      image: closed({ repository: TEXT, tag: TEXT, pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] } }),
      imagePullSecrets: { type: 'array', items: closed({ name: TEXT }) },
      replicas: { type: 'integer', minimum: 0 },
      options: closed(Object.fromEntries(options.map((option) => [option.name, optionSchema(option)]))),
      existingConfigMap: TEXT,
      budgetTable: {
        type: 'object',
        additionalProperties: {
          ...closed({
            size: { type: 'integer', minimum: 1 },
            refillPerSecond: { type: 'number', exclusiveMinimum: 0 },
          }),
          required: ['size', 'refillPerSecond'],
        },
      },
      extraArgs: { type: 'array', items: TEXT },
      env: { type: 'array', items: { type: 'object', required: ['name'] } },
      serviceAccount: closed({ name: { type: 'string', minLength: 1 }, annotations: TEXT_MAP }),
      podLabels: TEXT_MAP,
      podAnnotations: TEXT_MAP,
      port: { type: 'integer', minimum: 1, maximum: 65_535 },
      resources: OBJECT,
      nodeSelector: TEXT_MAP,
      priorityClassName: TEXT,
      terminationGracePeriodSeconds: { type: 'integer', minimum: 1 },
      podDisruptionBudget: closed({ enabled: BOOLEAN }),
      serviceMonitor: closed({ enabled: BOOLEAN, interval: TEXT, labels: TEXT_MAP }),
      prometheusRule: closed({ enabled: BOOLEAN, labels: TEXT_MAP }),
      dashboard: closed({ enabled: BOOLEAN, labels: TEXT_MAP }),
      // Helm's own.
      global: OBJECT,
    }),
  }
}

function closed(properties: Readonly<Record<string, JSONSchema>>): JSONSchema {
  return { type: 'object', additionalProperties: false, properties }
}
