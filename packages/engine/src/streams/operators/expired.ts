import type { EventCursor } from '@ricci/client'
import { lifetimeMs } from '../../index/store.ts'
import { type Behaviour, type Build, defineOperator } from '../operator.ts'
import type { Runtime } from '../runtime.ts'
import { Stream } from '../stream.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'

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

function passing(wanted: boolean) {
  return ({ out, runtime }: Build<Record<string, never>>): Behaviour<Record<string, never>> => ({
    event: (event, fork) => {
      if (isExpired(event, runtime) === wanted) out.event(event, fork)
    },
  })
}

defineOperator({
  name: 'expired',
  sample: () => expired(tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build: passing(true),
})

defineOperator({
  name: 'notExpired',
  sample: () => notExpired(tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build: passing(false),
})

/* @__PURE__ */ casesOf('expired', () => [
  {
    name: 'passes the state expired, and what was older than its TTL when it came; exactly as old is alive',
    stream: expired(tap('out')),
    rows: [
      [100, { state: 'expired' }, { state: 'expired' }],
      [100, { time: 89, ttl: 10 }, { time: 89, ttl: 10 }],
      [100, { time: 90, ttl: 10 }],
      [100, { time: 500, ttl: 10 }],
      [100, { metric: 1 }],
    ],
  },
  {
    name: 'takes 60 s where an event has no TTL, or what the settings say',
    stream: expired(tap('out')),
    settings: { defaultTtlSeconds: 30 },
    rows: [
      [100, { time: 70 }],
      [100, { time: 69 }, { time: 69 }],
    ],
  },
])

/* @__PURE__ */ casesOf('notExpired', () => [
  {
    name: 'passes all that expired does not',
    stream: notExpired(tap('out')),
    rows: [
      [100, { state: 'expired' }],
      [100, { time: 89, ttl: 10 }],
      [100, { time: 90, ttl: 10 }, { time: 90, ttl: 10 }],
      [100, { time: 39 }],
      [100, { time: 40 }, { time: 40 }],
      [100, {}, {}],
    ],
  },
])
