import { writeFileSync } from 'node:fs'
import process from 'node:process'
import { gzipSync } from 'node:zlib'
import { ClusterAccessError, findClusterAccess } from '../kubernetes/cluster-access.ts'
import { httpsTransport } from '../kubernetes/https-transport.ts'
import type { KubernetesTransport } from '../kubernetes/transport.ts'
import { systemClock } from '../runtime/clock.ts'
import type { Clock } from '../runtime/clock.ts'
import { UsageError, describeOptions, parseCommandLine, switchOption, textOption } from './command-options.ts'
import type { CommandOptions } from './command-options.ts'
import { interruption } from './interruption.ts'
import { redact } from './redact.ts'
import type { Fetch, Part } from './support-bundle-parts.ts'
import {
  ciliumNodeLines,
  clusterFetch,
  clusterParts,
  collectParts,
  CONTROLLER_PARTS,
  logParts,
  part,
} from './support-bundle-parts.ts'
import type { ArchiveFile } from './tar-archive.ts'
import { tarArchive } from './tar-archive.ts'
import { programVersion } from './version.ts'

const OK = 0
const FAILED = 1
const USAGE = 2
const MODE = 0o600

export interface SupportBundleOptions {
  readonly url: string
  readonly kubeconfig: string | undefined
  readonly k8sAPIServer: string | undefined
  readonly namespace: string
  readonly withoutCluster: boolean
  readonly output: string
}

const OPTIONS: CommandOptions<SupportBundleOptions> = {
  url: textOption("the controller's port, e.g. of kubectl port-forward", 'URL', 'http://127.0.0.1:9963'),
  kubeconfig: textOption('as for berth controller', 'FILE', undefined),
  k8sAPIServer: textOption('URL of the API server, in place of that of the kubeconfig', 'URL', undefined),
  namespace: textOption('where the controller runs', 'NAME', 'kube-system'),
  withoutCluster: switchOption("take only what the controller's port shows"),
  output: textOption('archive to write', 'FILE.tar.gz', 'berth-support.tar.gz'),
}

const HELP = `berth support-bundle [options]

Collects what somebody who is to help needs into one archive: the options in effect, metrics, health, the controller's resources and logs,
and every CiliumNode, as far as your permissions go. What looks like a secret is removed; Secrets are never read. Look through it
before you hand it on: names of nodes, pods and addresses are in it.

${describeOptions(OPTIONS)}

Exit codes: 0 written (its manifest.json names what could not be had), 1 not written, 2 wrong usage.
`

/** `berth support-bundle`. @returns the exit code */
export async function runSupportBundle(args: readonly string[]): Promise<number> {
  const interrupted = interruption()
  const stop = new AbortController()
  void interrupted.promise.then(() => stop.abort(new Error('interrupted')))
  try {
    const options = parseCommandLine(OPTIONS, args)
    if (options === 'help') {
      process.stdout.write(HELP)
      return OK
    }
    const clock = systemClock()
    const parts = await collect(options, clock, stop.signal)
    const missing = parts.filter((one) => 'missing' in one)
    for (const { path, missing: why } of missing)
      process.stderr.write(`berth support-bundle: without ${path}: ${why}\n`)
    if (missing.length === parts.length)
      throw new Error('neither the controller nor the cluster answers: nothing is written')
    const files = bundleFiles(parts, clock.wallTime())
    writeFileSync(options.output, gzipSync(tarArchive(files, clock.wallTime())), { mode: MODE })
    process.stdout.write(`${options.output}: ${files.length} files\n`)
    return OK
  } catch (error) {
    const isUsage = error instanceof UsageError
    process.stderr.write(`berth support-bundle: ${error instanceof Error ? error.message : String(error)}\n`)
    return isUsage ? USAGE : FAILED
  } finally {
    interrupted.release()
  }
}

async function collect(options: SupportBundleOptions, clock: Clock, signal: AbortSignal): Promise<readonly Part[]> {
  const parts = [...(await collectParts(CONTROLLER_PARTS, controllerFetch(options.url), clock, signal))]
  if (options.withoutCluster) return parts
  let transport: KubernetesTransport
  try {
    const access = await findClusterAccess({
      kubeconfigPath: options.kubeconfig ?? '',
      apiServer: options.k8sAPIServer ?? '',
      environment: process.env,
    })
    transport = httpsTransport(access, clock)
  } catch (error) {
    // What the controller itself has shown is worth having without the cluster.
    if (!(error instanceof ClusterAccessError)) throw error
    return [...parts, { path: 'cluster', missing: error.message }]
  }
  try {
    return [...parts, ...(await collectCluster(clusterFetch(transport), options.namespace, clock, signal))]
  } finally {
    transport.close()
  }
}

/** What the API server gives: resources, CiliumNodes, and the logs of the pods that it names. */
export async function collectCluster(
  fetch: Fetch,
  namespace: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Part[]> {
  const resources = await collectParts(clusterParts(namespace), fetch, clock, signal)
  const nodes = await part('cluster/ciliumnodes.jsonl', (limited) => ciliumNodeLines(fetch, limited), clock, signal)
  const pods = resources.find(({ path }) => path === 'cluster/pods.json')
  const podsJSON = pods !== undefined && 'text' in pods ? pods.text : ''
  const logs = await collectParts(logParts(namespace, podsJSON), fetch, clock, signal)
  return [...resources, nodes, ...logs]
}

/** The files of the archive, without secrets, and a manifest that names what is missing and why. */
export function bundleFiles(parts: readonly Part[], now: Date): readonly ArchiveFile[] {
  const texts = parts.flatMap((one) => ('text' in one ? [{ path: one.path, text: redact(one.text) }] : []))
  const missing = Object.fromEntries(parts.flatMap((one) => ('missing' in one ? [[one.path, one.missing]] : [])))
  const manifest = {
    createdAt: now.toISOString(),
    version: programVersion(),
    files: texts.map(({ path }) => path),
    missing,
  }
  const text = redact(`${JSON.stringify(manifest, undefined, 2)}\n`)
  return [{ path: 'manifest.json', text }, ...texts].map((file) => ({ ...file, path: `berth-support/${file.path}` }))
}

function controllerFetch(url: string): Fetch {
  const base = url.replace(/\/+$/, '')
  return async (path, signal) => {
    const answer = await fetch(`${base}${path}`, { signal }).catch((error: unknown) => {
      // The reason of a failed fetch is its cause.
      throw error instanceof Error && error.cause instanceof Error ? error.cause : error
    })
    const text = await answer.text()
    // Health answers 503 with its reasons: those are what is wanted.
    if (answer.status === 404) throw new Error(`${base}${path}: status 404`)
    return text
  }
}
