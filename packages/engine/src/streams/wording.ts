/** What a page says: its line for people, and what of the event led to it. */
import { type Event, type EventCursor, cursorToEvent } from '@ricci/client'
import type { PageDescription } from '../decisions/incident.ts'
import type { NotifyOptions } from './operators/notify.ts'
import type { Runtime } from './runtime.ts'
import { describeValue } from './stream.ts'
import type { Step } from './trail.ts'

/** Events of a list that a page's provenance shows; the count tells of the rest. */
export const eventsToldOf = 20

/** A page that rests on one event. */
export function describe(
  event: EventCursor,
  words: Words,
  options: NotifyOptions,
  path: string,
  steps: () => readonly Step[],
  runtime: Runtime,
): PageDescription {
  const shown = cursorToEvent(event, runtime.table)
  return {
    severity: options.severity ?? 'critical',
    summary: words.of(shown),
    host: shown.host ?? '',
    service: shown.service ?? '',
    provenance: () => ({ path, late: event.late === 1, event: plain(shown), steps: steps() }),
  }
}

function plain(event: Event): unknown {
  return typeof event.metric === 'bigint' ? { ...event, metric: event.metric.toString() } : event
}

/** Words the pages of one rule. */
export class Words {
  readonly #rule: string
  readonly #summary: NotifyOptions['summary']
  #thrown: { readonly error: unknown } | undefined

  constructor(rule: string, { summary }: NotifyOptions) {
    this.#rule = rule
    this.#summary = summary
  }

  of(event: Event): string {
    const summary = this.#summary
    if (typeof summary === 'string') return summary
    if (summary !== undefined) {
      try {
        const text: unknown = summary(event)
        if (typeof text === 'string') return text
        throw new Error(`summary gave ${describeValue(text)} where a text is wanted`)
      } catch (error) {
        this.#thrown ??= { error }
      }
    }
    const metric = event.metric === undefined ? undefined : `(${shortNumber(event.metric)})`
    const parts = [event.host, event.service, event.state, metric, event.description]
    return `${this.#rule}: ${parts.filter((part) => part !== undefined && part !== '').join(' ')}`
  }

  /** After the decision: an error of the wording ends nothing, and is counted and told like any other. @throws it */
  complain(): void {
    const thrown = this.#thrown
    this.#thrown = undefined
    if (thrown !== undefined) throw thrown.error
  }
}

/** A number as people read it: four digits that count, of large ones all before the point; what is exact stands in the provenance. */
function shortNumber(number: number | bigint): string {
  if (typeof number === 'bigint' || Number.isInteger(number)) return String(number)
  return String(Math.abs(number) >= 1_000 ? Math.round(number) : Number(number.toPrecision(4)))
}
