import type { EventCursor } from '@ricci/client'
import { lifetimeMs } from '../../index/store.ts'
import { defineOperator } from '../operator.ts'
import type { Runtime } from '../runtime.ts'
import { Stream } from '../stream.ts'
import { tap } from './tap.ts'

/**
 * Passes expired events: those with the state `expired`, and those older than their TTL (60 s without one) when they arrived.
 * Source: Riemann's `expired`; the age is the producer's own where its mark tells when it sent.
 * @example expired(notify('oncall'))
 */
export function expired(...children: Stream[]): Stream {
  return new Stream('expired', [], children)
}

/**
 * Passes events that are not {@link expired}.
 * Source: Riemann's `not-expired`.
 */
export function notExpired(...children: Stream[]): Stream {
  return new Stream('notExpired', [], children)
}

/** Whether an event is expired at this moment. */
export function isExpired(event: EventCursor, runtime: Runtime): boolean {
  if (event.state === runtime.index.expiredSymbol) return true
  return runtime.ageMs > lifetimeMs(event, runtime.settings.defaultTtlSeconds)
}

defineOperator({
  name: 'expired',
  sample: () => expired(tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build: ({ out, runtime }) => ({
    event: (event, fork) => {
      if (isExpired(event, runtime)) out.event(event, fork)
    },
  }),
})

defineOperator({
  name: 'notExpired',
  sample: () => notExpired(tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build: ({ out, runtime }) => ({
    event: (event, fork) => {
      if (!isExpired(event, runtime)) out.event(event, fork)
    },
  }),
})
