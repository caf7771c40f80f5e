/** What the load and whoever started it say to one another, and what hosts are called. */
import type { Event } from '@ricci/client'

/** What the load is told at its start. */
export interface LoadSettings {
  /** Where instances take events, of 127.0.0.1. */
  readonly ports: readonly number[]
  readonly clusters: number
  readonly hostsPerCluster: number
  readonly eventsPerSecond: number
  /** Addresses of brokers, where somebody publishes there who knows nothing of Ricci. */
  readonly brokers?: readonly string[]
}

/** What the load is told later. */
export type LoadRequest =
  | { readonly kind: 'send'; readonly id: number; readonly cluster: number; readonly event: Event }
  | { readonly kind: 'talking'; readonly host: string; readonly talking: boolean }
  /** Whoever knows nothing of Ricci publishes no more. */
  | { readonly kind: 'stop-foreign' }
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
  | { readonly kind: 'foreign-stopped' }
  | {
      readonly kind: 'report'
      readonly producers: readonly ProducerReport[]
      /** Metrics of the events that brokers confirmed to those who know nothing of Ricci. */
      readonly foreign: readonly number[]
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

/** What a load came to in the end. */
export type LoadReport = Extract<LoadAnswer, { kind: 'report' }>
