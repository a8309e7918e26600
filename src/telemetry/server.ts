import type { Registry } from 'prom-client'

export interface Readiness {
  readonly ok: boolean
  /** Why not, one constant phrase each; empty when ready. */
  readonly reasons: readonly string[]
}

export interface TelemetryServerOptions {
  /** `host:port`, `:port` for all addresses, `[::1]:port`; port 0 takes a free one. */
  readonly address: string
  readonly isReady: () => Readiness
  readonly isHealthy: () => Readiness
  readonly registry: Registry
}

export interface TelemetryServer {
  /** `http://host:port`, with the port that was taken. */
  readonly url: string
  /** Takes no more requests, lets running ones end; when the signal is aborted, cuts them. */
  close(signal: AbortSignal): Promise<void>
}

/** Serves `/healthz`, `/readyz` and `/metrics`. @throws ListenError */
export function startTelemetryServer(_options: TelemetryServerOptions): Promise<TelemetryServer> {
  throw new Error('not built yet')
}
