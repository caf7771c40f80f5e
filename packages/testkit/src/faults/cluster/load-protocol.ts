/** What the load and whoever started it say to one another, and what hosts are called. */
import type { Event } from '@ricci/client'

/** What the load is told at its start. */
export interface LoadSettings {
  /** Where instances take events, of 127.0.0.1. */
  readonly ports: readonly number[]
  readonly clusters: number
  readonly hostsPerCluster: number
  readonly eventsPerSecond: number
}

/** What the load is told later. */
export type LoadRequest =
  | { readonly kind: 'send'; readonly id: number; readonly cluster: number; readonly event: Event }
  | { readonly kind: 'talking'; readonly host: string; readonly talking: boolean }
  | { readonly kind: 'stop' }

/** What a producer came to. */
export interface ProducerReport {
  readonly name: string
  readonly number: number
  readonly sent: number
  readonly resent: number
  readonly moves: number
  readonly unacked: readonly number[]
  readonly refusals: readonly string[]
  /** How many events each message has, in order. */
  readonly sizes: readonly number[]
}

/** What the load tells. Moments on the machine's monotonic clock, in ms. */
export type LoadAnswer =
  | { readonly kind: 'sent'; readonly id: number; readonly atMs: number }
  | { readonly kind: 'acked'; readonly id: number; readonly atMs: number }
  | {
      readonly kind: 'report'
      readonly producers: readonly ProducerReport[]
      /** The longest time that it was kept from running, and the messages that found no room. */
      readonly longestPauseMs: number
      readonly heldBack: number
    }

/** How long what hosts say of themselves holds, in seconds of owned time: longer than a producer may look for an instance that answers. */
export const presenceSeconds = 10
/** The service by which they say it. */
export const presenceService = 'alive'

export const clusterName = (cluster: number): string => `c${String(cluster).padStart(2, '0')}`
export const hostName = (cluster: number, host: number): string => `${clusterName(cluster)}-h${host}`
