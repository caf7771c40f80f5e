/** What the agent sends besides its own samples, each at a pace of its own: scraped metrics, commands, units of systemd, the clock. */
import { CodecError, encodeMsg, validateMsg, type Event } from '@ricci/client'
import type { Clock, Timer } from '@ricci/replica'

/** Gives events from its start until it has stopped. */
export interface EventSource {
  readonly name: string
  /**
   * Begins. Once only.
   * @param emit takes events without a host; the time, where an event has none, is now; each has a ttl
   */
  start(emit: (events: readonly Event[]) => void): void
  /** Asks once, now, and gives what it would have emitted. */
  once(): Promise<readonly Event[]>
  /** Ends what is under way, and resolves when nothing is. Emits nothing any more. Idempotent. */
  stop(): Promise<void>
}

/** Something that is asked at an interval, and answers with events. */
export interface Question {
  readonly name: string
  readonly intervalMs: number
  /**
   * What the other side does is an answer, too: a rejection is a defect, and told as one.
   * @param signal aborted when the agent ends: then it resolves as soon as it has let go of everything
   */
  ask(signal: AbortSignal): Promise<readonly Event[]>
}

/**
 * They travel as one message, which may be 16 MiB large: so many events fit into it even where the service of each is as long as one may be, and stands in its
 * attributes once more.
 */
const maxEventsAtOnce = 2_000

/** What all of them need. */
export interface SourceSurroundings {
  readonly clock: Clock
  /** Told what goes wrong, in sentences, once per change. */
  readonly onProblem: (text: string) => void
}

/** Events hold for so many intervals, so that two may be lost before anything expires, and for at least so long: a busy machine may be late by seconds. */
const ttlIntervals = 3
const minTtlSeconds = 10

/** How long events hold that come anew at an interval, in seconds. */
export function ttlSeconds(intervalMs: number): number {
  return Math.max(minTtlSeconds, (ttlIntervals * intervalMs) / 1000)
}

/** Of these an event's keys and its place in the log are made, or Riemann's clients take them for its fields: nobody else may set them. */
const reserved = new Set(['host', 'service', 'state', 'description', 'tags', 'time', 'ttl', 'metric', 'cluster'])

/** The name under which something foreign becomes an attribute; the prefix is that which Prometheus itself puts before labels that are taken. */
export function attributeName(name: string): string {
  return reserved.has(name) ? `exported_${name}` : name
}

/** Whether a server takes the event: one that it does not keeps out all that travel with it. */
export function isFitting(event: Event): boolean {
  try {
    validateMsg(encodeMsg({ events: [event] }))
    return true
  } catch (error) {
    if (error instanceof CodecError) return false
    throw error
  }
}

/**
 * Asks on a grid of intervals. One answer at a time: when the last one is still awaited, that time is left out.
 * @param phase where in the interval it is asked first, from 0 to 1: so that many do not ask at the same moment
 */
export function periodic(question: Question, phase: number, { clock, onProblem }: SourceSurroundings): EventSource {
  const { name, intervalMs, ask } = question
  const ending = new AbortController()
  let startedMs = 0
  let times = 0
  let timer: Timer | undefined
  let asking: Promise<void> | undefined

  const once = async (): Promise<readonly Event[]> => {
    try {
      return await ask(ending.signal)
    } catch (error) {
      if (!ending.signal.aborted) onProblem(`${name} failed: ${(error as Error).message}`)
      return []
    }
  }
  const onTime = (emit: (events: readonly Event[]) => void): void => {
    asking ??= once().then((events) => {
      asking = undefined
      if (ending.signal.aborted) return
      for (let at = 0; at < events.length; at += maxEventsAtOnce) emit(events.slice(at, at + maxEventsAtOnce))
    })
    // a late answer does not move the later ones, and times that were missed are not made up for
    const elapsedMs = clock.monotonicMs() - startedMs
    times = Math.max(times + 1, Math.floor(elapsedMs / intervalMs - phase) + 1)
    timer = clock.setTimer((times + phase) * intervalMs - elapsedMs, () => onTime(emit))
  }
  return {
    name,
    once,
    start(emit) {
      startedMs = clock.monotonicMs()
      timer = clock.setTimer(phase * intervalMs, () => onTime(emit))
    },
    async stop() {
      timer?.cancel()
      ending.abort()
      await asking
    },
  }
}

/** The phases of so many that have the same interval. */
export function phaseOf(index: number, count: number): number {
  return count === 0 ? 0 : index / count
}
