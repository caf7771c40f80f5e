import { type Event, type EventCursor, EventCursor as Cursor, cursorToEvent } from '@ricci/client'
import { deliveryFailedRule, ruleQuarantinedRule } from '../../decisions/decisions.ts'
import { type EscalationOption, escalationOf } from '../../decisions/escalation.ts'
import { boundedKey, type EscalationStep } from '../../decisions/incident.ts'
import { EngineError } from '../../errors.ts'
import { valueText, ValueSlot } from '../../state/values.ts'
import { checkField, checkPredicate, compileField, compilePredicate, type Field, type Predicate } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import type { Runtime } from '../runtime.ts'
import { describeValue, Stream } from '../stream.ts'
import { describe, eventsToldOf, Words } from '../wording.ts'
import { casesOf } from '../cases.ts'
import { index } from './index.ts'
import { sdo } from './sdo.ts'
import { where } from './where.ts'
import { fixedEventWindow } from './windows.ts'

/** Options of `incident`. */
export interface IncidentOptions {
  /** Names of receivers; their addresses and secrets live in the configuration. */
  readonly to: string | readonly string[]
  /** What is bad; default `state != "ok"`. */
  readonly bad?: Predicate
  /** What makes one incident of a name; default host and service. */
  readonly key?: Field | readonly Field[]
  /** For receivers: `critical` unless told otherwise. */
  readonly severity?: 'critical' | 'error' | 'warning' | 'info'
  /**
   * The line people read; default: name, host, service, state, metric, description. The default stands in where a function throws
   * or gives no text, which is an error of the rule: wording costs no page.
   */
  readonly summary?: string | ((event: Readonly<Event>) => string)
  /**
   * Who else is told when nobody acknowledged it for so long, at most ten steps in the order of their times. The time is owned time from the opening, or
   * from the end of an acknowledgement or a snooze; a receiver that cannot be told at all takes the next step at once.
   */
  readonly escalate?: readonly EscalationOption[]
}

/**
 * Opens an incident at the first bad event of its key and resolves it at the first that is not bad. A page per receiver goes
 * out at each. An incident is known by its name and key, never by its place in the rules.
 *
 * A list is judged event by event. A late event neither opens nor resolves anything that a newer entry of its host and service
 * in the index contradicts: a page that rests on it alone must still be true now.
 *
 * Where its key names no host, hosts may join it while it is open: the first bad event of a further one ends an acknowledgement.
 * @example incident('cpu-high', { bad: 'metric > 0.9', to: 'oncall', escalate: [{ after: '15m', to: 'lead' }] })
 */
export function incident(name: string, options: IncidentOptions): Stream {
  const to = receiversOf('incident', options?.to)
  const bad = options.bad ?? 'state != "ok"'
  checkPredicate('incident', bad)
  const key = options.key === undefined ? ['host', 'service'] : [options.key].flat()
  for (const field of key) checkField('incident', field)
  checkSummary('incident', options.summary)
  if (typeof name !== 'string' || name === '') throw new EngineError('RULES_INVALID', 'an incident needs a name')
  if (name === deliveryFailedRule || name === ruleQuarantinedRule) {
    throw new EngineError('RULES_INVALID', `incidents named ${name} are Ricci's own; give this one another name`)
  }
  const escalate = options.escalate === undefined ? {} : { escalate: escalationOf(options.escalate, to) }
  return new Stream('incident', [name, { ...options, to, bad, key, ...escalate }], [])
}

/** Options with what they leave open filled in. */
type IncidentArgs = Omit<IncidentOptions, 'escalate'> & {
  readonly to: readonly string[]
  readonly bad: Predicate
  readonly key: readonly Field[]
  readonly escalate?: readonly EscalationStep[]
}

/** Options of `notify`. */
export interface NotifyOptions {
  /** Whose pages are counted together against the limit of pages a minute; default: the receivers' names. */
  readonly name?: string
  readonly severity?: IncidentOptions['severity']
  readonly summary?: IncidentOptions['summary']
}

/**
 * A page for each event (or each list of events) that comes, without a life of its own. A late event makes none when the index
 * holds a newer one of its host and service in another state; nor does a list of such events alone.
 * @example rollup(5, 3600, notify('oncall'))
 */
export function notify(to: string | readonly string[], options: NotifyOptions = {}): Stream {
  const receivers = receiversOf('notify', to)
  checkSummary('notify', options.summary)
  return new Stream('notify', [options.name ?? `notify ${receivers.join(' ')}`, { ...options, to: receivers }], [])
}

function receiversOf(operator: string, to: string | readonly string[]): readonly string[] {
  const list = [to].flat()
  if (list.length === 0 || list.some((name) => typeof name !== 'string' || name === '')) {
    throw new EngineError(
      'RULES_INVALID',
      `${operator} needs the name of a receiver in \`to\`, got ${describeValue(to)}`,
    )
  }
  return list
}

function checkSummary(operator: string, summary: unknown): void {
  if (summary === undefined || typeof summary === 'string' || typeof summary === 'function') return
  throw new EngineError(
    'RULES_INVALID',
    `${operator} takes a text or a function as \`summary\`, got ${describeValue(summary)}`,
  )
}

defineOperator({
  name: 'incident',
  sample: () => incident('sample', { to: 'someone', escalate: [{ after: 5, to: 'other' }] }),
  takes: ['event', 'list'],
  gives: 'nothing',
  columns: {},
  build({ args: [name, given], runtime, path, trail }) {
    const options = given as IncidentArgs
    const isBad = compilePredicate(options.bad, runtime)
    const keys = options.key.map((field) => compileField(field, runtime))
    const slot = new ValueSlot()
    const newer = new Cursor()
    const rule = name as string
    const words = new Words(rule, options)
    const mayBeJoined = !options.key.includes('host')
    function keyOf(event: EventCursor): string {
      const parts = keys.map((read) => {
        read(event, slot)
        const text = valueText(slot.value(runtime.table) ?? '')
        return /[\s"]/.test(text) ? JSON.stringify(text) : text
      })
      return boundedKey(parts.join(' '))
    }
    function judge(event: EventCursor, fork: number): void {
      const bad = isBad(event)
      if (!bad && !runtime.decisions.hasOpen(rule)) return runtime.trace?.judged({ key: '', bad })
      if (event.late === 1 && loadNewer(event, newer, runtime) && isBad(newer) !== bad) {
        return runtime.trace?.judged({ key: '', bad, contradicted: true })
      }
      const key = keyOf(event)
      runtime.trace?.judged({ key, bad, open: runtime.decisions.idOfOpen(rule, key) })
      const host = mayBeJoined && bad && event.host !== 0 ? runtime.table.text(event.host) : undefined
      runtime.decisions.incident(
        rule,
        key,
        bad,
        options,
        () => describe(event, words, options, path, trail(fork), runtime),
        host,
      )
    }
    const member = new Cursor()
    return {
      event(event, fork) {
        judge(event, fork)
        words.complain()
      },
      list(list, fork) {
        for (let i = 0; i < list.length; i++) if (list.load(i, member)) judge(member, fork)
        words.complain()
      },
    }
  },
})

defineOperator({
  name: 'notify',
  sample: () => notify('someone'),
  takes: ['event', 'list'],
  gives: 'nothing',
  columns: {},
  build({ args: [name, given], runtime, path, trail }) {
    const options = given as NotifyOptions & { to: readonly string[] }
    const rule = name as string
    const words = new Words(rule, options)
    const cursor = new Cursor()
    const newer = new Cursor()
    const isContradicted = (event: EventCursor) =>
      event.late === 1 && loadNewer(event, newer, runtime) && newer.state !== event.state
    return {
      event(event, fork) {
        if (isContradicted(event)) return runtime.trace?.judged({ key: '', bad: true, contradicted: true })
        runtime.trace?.judged({ key: '', bad: true })
        runtime.decisions.notify(rule, options.to, () => describe(event, words, options, path, trail(fork), runtime))
        words.complain()
      },
      list(list, fork) {
        const events: Event[] = []
        let stands = false
        for (let i = 0; i < list.length; i++) {
          if (!list.load(i, cursor)) continue
          if (!isContradicted(cursor)) stands = true
          if (events.length < eventsToldOf) events.push(cursorToEvent(cursor, runtime.table))
          else if (stands) break
        }
        const [first] = events
        if (first === undefined || !stands) return
        runtime.trace?.judged({ key: '', bad: true })
        runtime.decisions.notify(rule, options.to, () => ({
          severity: options.severity ?? 'critical',
          summary: list.length === 1 ? words.of(first) : `${list.length} events: ${words.of(first)} …`,
          host: first.host ?? '',
          service: first.service ?? '',
          provenance: { path, count: list.length, events, steps: trail(fork) },
        }))
        words.complain()
      },
    }
  },
})

/** Loads what the index knows of the same host and service, where that is newer and not late itself. */
function loadNewer(event: EventCursor, into: EventCursor, { index }: Runtime): boolean {
  const row = index.lookup(event.host, event.service)
  if (row < 0 || index.isLate(row)) return false
  index.load(row, into)
  return into.time > event.time
}

/* @__PURE__ */ casesOf('incident', () => [
  {
    name: 'opens at the first bad event of a host and service, and resolves at the first that is not bad',
    stream: incident('cpu', { to: 'oncall', bad: 'metric > 0.9' }),
    rows: [
      [0, { host: 'a', service: 'cpu', metric: 0.5 }],
      [
        1,
        { host: 'a', service: 'cpu', metric: 0.95 },
        { page: { action: 'trigger', receiver: 'oncall', rule: 'cpu', key: 'a cpu', severity: 'critical' } },
      ],
      [2, { host: 'a', service: 'cpu', metric: 1 }],
      [3, { host: 'b', service: 'cpu', metric: 1 }, { page: { action: 'trigger', key: 'b cpu' } }],
      // a trigger that was never attempted is taken back without a page
      [4, { host: 'a', service: 'cpu', metric: 0.5 }],
      [5, { host: 'a', service: 'cpu', metric: 1 }, { page: { action: 'trigger', key: 'a cpu' } }],
    ],
  },
  {
    name: 'takes any state but ok for bad: expired too, and none',
    stream: incident('down', { to: ['one', 'two'], key: 'host', summary: 'it is down', severity: 'warning' }),
    rows: [
      [0, { host: 'a', service: 'x', state: 'ok' }],
      [
        1,
        { host: 'a', service: 'y', state: 'expired' },
        { page: { receiver: 'one', key: 'a', summary: 'it is down', severity: 'warning' } },
        { page: { receiver: 'two', key: 'a' } },
      ],
      [2, { host: 'a', service: 'z', state: 'critical' }],
      [3, { host: 'b' }, { page: { receiver: 'one', key: 'b' } }, { page: { receiver: 'two', key: 'b' } }],
    ],
  },
  {
    name: 'tells the default where its summary throws or gives no text',
    stream: sdo(
      incident('thrown', { to: 'oncall', summary: (event) => `${event.description!.length}` }),
      incident('no text', { to: 'oncall', summary: (() => Promise.resolve('')) as never }),
      notify('oncall', {
        summary: () => {
          throw new Error('no')
        },
      }),
    ),
    rows: [
      [
        0,
        { host: 'a', state: 'bad', metric: 0.9949494949494949 },
        { page: { action: 'trigger', rule: 'thrown', key: 'a ', summary: 'thrown: a bad (0.9949)' } },
        { page: { action: 'trigger', rule: 'no text', summary: 'no text: a bad (0.9949)' } },
        { page: { action: 'notify', summary: 'notify oncall: a bad (0.9949)' } },
        { throws: 'sdo[0] > incident[0]' },
        { throws: 'sdo[0] > incident[1]' },
        { throws: 'sdo[0] > notify[2]' },
      ],
    ],
  },
  {
    name: 'tells keys apart that are long and begin alike, or are objects',
    stream: sdo(
      incident('long', { to: 'oncall', key: 'description' }),
      incident('object', { to: 'oncall', key: (e) => ({ of: e.metric }) }),
    ),
    rows: [
      [
        0,
        [
          { description: `${'x'.repeat(2_000)}1`, metric: 1 },
          { description: `${'x'.repeat(2_000)}2`, metric: 2 },
        ],
        { page: { rule: 'long' } },
        { page: { rule: 'object', key: '"{\\"of\\":1}"' } },
        { page: { rule: 'long' } },
        { page: { rule: 'object', key: '"{\\"of\\":2}"' } },
      ],
    ],
  },
  {
    name: 'tells another when nobody acknowledged it for so long',
    stream: incident('bad', { to: 'oncall', key: 'host', escalate: [{ after: '1m', to: 'lead' }] }),
    rows: [
      [0, { host: 'a', state: 'bad' }, { page: { receiver: 'oncall', key: 'a' } }],
      [59, 'time'],
      [
        60,
        'time',
        { page: { action: 'trigger', receiver: 'lead', key: 'a', summary: 'not acknowledged for 60 s: bad: a bad' } },
      ],
      [600, 'time'],
    ],
  },
  {
    name: 'judges a list event by event',
    stream: fixedEventWindow(2, incident('bad', { to: 'oncall', key: 'host' })),
    rows: [
      [0, { host: 'a', state: 'bad' }],
      [1, { host: 'b', state: 'bad' }, { page: { key: 'a' } }, { page: { key: 'b' } }],
    ],
  },
  {
    name: 'neither opens nor resolves for a late event that a newer one in the index contradicts',
    stream: sdo(index(), incident('bad', { to: 'oncall', key: 'host' })),
    rows: [
      [200, { host: 'a', state: 'ok' }],
      [200, { host: 'a', state: 'bad', time: 100, ttl: 300 }],
      [200, { host: 'a', state: 'bad', time: 150 }, { page: { action: 'trigger', key: 'a' } }],
      [201, { host: 'a', state: 'bad' }],
      [202, { host: 'a', state: 'ok', time: 100, ttl: 300 }],
      [203, { host: 'b', state: 'bad', time: 100, ttl: 300 }, { page: { key: 'b' } }],
    ],
  },
])

/* @__PURE__ */ casesOf('notify', () => [
  {
    name: 'makes a page of each event, without a life of its own',
    stream: where('state = "bad"', notify('oncall')),
    rows: [
      [0, { host: 'a', service: 's', state: 'ok' }],
      [
        1,
        { host: 'a', service: 's', state: 'bad', metric: 3 },
        { page: { action: 'notify', receiver: 'oncall', key: '', summary: 'notify oncall: a s bad (3)' } },
      ],
      [2, { host: 'a', state: 'bad', metric: 1234.56 }, { page: { summary: 'notify oncall: a bad (1235)' } }],
      [3, { host: 'a', state: 'bad', metric: 123_456_789 }, { page: { summary: 'notify oncall: a bad (123456789)' } }],
    ],
  },
  {
    name: 'makes one page of a list, for each receiver',
    stream: fixedEventWindow(2, notify(['one', 'two'], { name: 'twos' })),
    rows: [
      [0, { host: 'a' }],
      [
        1,
        { host: 'b' },
        { page: { receiver: 'one', rule: 'twos', summary: '2 events: twos: a …' } },
        { page: { receiver: 'two', rule: 'twos' } },
      ],
    ],
  },
  {
    name: 'goes over to one digest for the rest of the minute at the limit of pages a minute',
    stream: notify('oncall'),
    settings: { pagesPerMinute: 1 },
    rows: [
      [
        61,
        [{ host: 'a' }, { host: 'b' }, { host: 'c' }],
        { page: { memberCount: undefined } },
        { page: { memberCount: 1 } },
      ],
      [120, { host: 'd' }, { page: { host: 'd' } }],
    ],
  },
  {
    name: 'makes none of late events alone that newer ones in the index contradict',
    stream: sdo(index(), fixedEventWindow(2, notify('oncall'))),
    rows: [
      [200, { host: 'a', state: 'ok', ttl: 900 }],
      [200, { host: 'b', state: 'ok', ttl: 900 }, { page: { summary: '2 events: notify oncall: a ok …' } }],
      [
        201,
        [
          { host: 'a', state: 'bad', time: 100, ttl: 900 },
          { host: 'b', state: 'bad', time: 100, ttl: 900 },
        ],
      ],
      [202, { host: 'a', state: 'bad', time: 100, ttl: 900 }],
      [
        203,
        { host: 'c', state: 'bad', time: 100, ttl: 900 },
        { page: { summary: '2 events: notify oncall: a bad …' } },
      ],
    ],
  },
])
