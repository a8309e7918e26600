import type { CiliumNode } from '../ipam/cilium-node.ts'
import type { ControllerConfig } from './options.ts'

/**
 * On a CiliumNode: nothing of the node is released, detached or deleted. Everything else goes on. Takes effect with the version of the
 * resource that carries it. Whatever its value is but `false`: who writes `yes` means it.
 */
export const PAUSE_ANNOTATION = 'ipam.berth.io/pause-destructive'

/** @param annotations of a CiliumNode */
export function isPausedByAnnotation({ annotations }: Pick<CiliumNode, 'annotations'>): boolean {
  const value = annotations[PAUSE_ANNOTATION]
  return value !== undefined && value.toLowerCase() !== 'false'
}

/**
 * The configuration that holds for a node whose destructive calls are paused: as if release were switched off, so that handshakes in
 * flight are taken back, their addresses stay open to pods, and none is begun.
 */
export function pausedConfig(config: ControllerConfig): ControllerConfig {
  return { ...config, releaseExcessIPs: false, destructiveCallsPerMinute: 0 }
}
