import type { EventCursor } from '@ricci/client'
import type { ListColumn } from '../state/lists.ts'
import type { Runtime } from './runtime.ts'

/** Keeps an event in a fork's buffer; one that is full refuses it, which is counted and told of once a minute. */
export function hold(held: ListColumn, fork: number, event: EventCursor, runtime: Runtime): void {
  if (held.count(fork) < runtime.settings.eventsPerBuffer) held.push(fork, event)
  else runtime.bufferRefusals++
}
