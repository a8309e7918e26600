import type { Logger } from '../ipam/contracts.ts'
import { KubernetesClient } from '../kubernetes/client.ts'
import { RateLimiter } from '../kubernetes/rate-limiter.ts'
import type { RequestHandler } from '../kubernetes/transport.ts'
import { inProcessTransport } from '../kubernetes/transport.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { TimerQueue } from '../runtime/timer.ts'
import type { AgentSurroundings } from './berth-agent.ts'

/** As the world's other requests: faults and ledgers tell the cluster's own side from the controller. */
const FIELD_MANAGER = 'berth-world'

/** Each agent has its own limit in a real cluster, far above what it needs. */
const NO_LIMIT = { qps: 1e9, burst: 1e9 }

const quiet = (): void => undefined
const QUIET: Logger = { debug: quiet, info: quiet, warn: quiet, error: quiet }

/** A defect of an agent must not go unnoticed. */
function raise(error: unknown): never {
  throw error
}

/** One client and one queue of timers for all agents of a world; the API server is reached in process. */
export function agentSurroundings(router: RequestHandler, clock: Clock, random: Random): AgentSurroundings {
  const limiter = new RateLimiter({ clock, ...NO_LIMIT })
  const transport = inProcessTransport(router)
  return {
    client: new KubernetesClient({ transport, clock, random, limiter, fieldManager: FIELD_MANAGER }),
    clock,
    timers: new TimerQueue(clock, raise),
    log: QUIET,
  }
}
