import { type Event, type EventCursor, EventCursor as Cursor } from '@ricci/client'
import { deliveryFailedRule, ruleQuarantinedRule } from '../../decisions/decisions.ts'
import { type EscalationOption, escalationOf } from '../../decisions/escalation.ts'
import { boundedKey, type EscalationStep, type PageDescription } from '../../decisions/incident.ts'
import { EngineError } from '../../errors.ts'
import { valueText, ValueSlot } from '../../state/values.ts'
import { checkField, checkPredicate, compileField, compilePredicate, type Field, type Predicate } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import type { Runtime } from '../runtime.ts'
import { describeValue, Stream } from '../stream.ts'
import { describe, Words } from '../wording.ts'
import { casesOf } from '../cases.ts'
import { index } from './index.ts'
import { sdo } from './sdo.ts'
import { fixedEventWindow } from './windows.ts'

/** Options of `incident`. */
export interface IncidentOptions {
  /** Names of receivers; their addresses and secrets live in the configuration. */
  readonly to: string | readonly string[]
  /** What is bad; default `state != "ok"`. */
  readonly bad?: Predicate
  /** What makes one incident of a name; default host and service. */
  readonly key?: Field | readonly Field[]
  /**
   * Makes one incident, and one page, of all keys that have this in common: like `cluster`. It opens with the first that is bad, and resolves when none
   * of them is any more. An event without it is an incident of its own.
   */
  readonly group?: Field | readonly Field[]
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
 * Where its key names no host, hosts may join it while it is open: the first bad event of a further one ends an acknowledgement. So does a further key of a
 * `group`; up to 1,000 are remembered, those that are well make room for others.
 * @example incident('cpu-high', { bad: 'metric > 0.9', to: 'oncall', escalate: [{ after: '15m', to: 'lead' }] })
 * @example incident('disk-full', { bad: 'metric > 0.95', group: 'cluster', to: 'oncall' })
 */
export function incident(name: string, options: IncidentOptions): Stream {
  const to = receiversOf('incident', options?.to)
  const bad = options.bad ?? 'state != "ok"'
  checkPredicate('incident', bad)
  const key = options.key === undefined ? ['host', 'service'] : [options.key].flat()
  const group = options.group === undefined ? undefined : [options.group].flat()
  if (group?.length === 0) throw new EngineError('RULES_INVALID', 'the group of an incident needs a field')
  for (const field of [...key, ...(group ?? [])]) checkField('incident', field)
  checkSummary('incident', options.summary)
  if (typeof name !== 'string' || name === '') throw new EngineError('RULES_INVALID', 'an incident needs a name')
  if (name === deliveryFailedRule || name === ruleQuarantinedRule) {
    throw new EngineError('RULES_INVALID', `incidents named ${name} are Ricci's own; give this one another name`)
  }
  const escalate = options.escalate === undefined ? {} : { escalate: escalationOf(options.escalate, to) }
  const grouped = group === undefined ? {} : { group }
  return new Stream('incident', [name, { ...options, to, bad, key, ...grouped, ...escalate }], [])
}

/** Options with what they leave open filled in. */
type IncidentArgs = Omit<IncidentOptions, 'escalate' | 'group'> & {
  readonly to: readonly string[]
  readonly bad: Predicate
  readonly key: readonly Field[]
  readonly group?: readonly Field[]
  readonly escalate?: readonly EscalationStep[]
}

/** Names of receivers as rules give them. @throws EngineError `RULES_INVALID` */
export function receiversOf(operator: string, to: string | readonly string[]): readonly string[] {
  const list = [to].flat()
  if (list.length === 0 || list.some((name) => typeof name !== 'string' || name === '')) {
    throw new EngineError(
      'RULES_INVALID',
      `${operator} needs the name of a receiver in \`to\`, got ${describeValue(to)}`,
    )
  }
  return list
}

/** @throws EngineError `RULES_INVALID` */
export function checkSummary(operator: string, summary: unknown): void {
  if (summary === undefined || typeof summary === 'string' || typeof summary === 'function') return
  throw new EngineError(
    'RULES_INVALID',
    `${operator} takes a text or a function as \`summary\`, got ${describeValue(summary)}`,
  )
}

defineOperator({
  name: 'incident',
  sample: () =>
    sdo(
      incident('sample', { to: 'someone', escalate: [{ after: 5, to: 'other' }] }),
      incident('sample of many', { to: 'someone', group: 'service' }),
    ),
  since: ([, options]) => ((options as IncidentArgs).group === undefined ? 1 : 3),
  takes: ['event', 'list'],
  gives: 'nothing',
  columns: {},
  build({ args: [name, given], runtime, path, trail }) {
    const options = given as IncidentArgs
    const isBad = compilePredicate(options.bad, runtime)
    const keys = options.key.map((field) => compileField(field, runtime))
    const groups = options.group?.map((field) => compileField(field, runtime))
    const slot = new ValueSlot()
    const newer = new Cursor()
    const rule = name as string
    const words = new Words(rule, options)
    const mayBeJoined = !options.key.includes('host')
    const partsOf = (event: EventCursor, fields: typeof keys): string[] =>
      fields.map((read) => {
        read(event, slot)
        const text = valueText(slot.value(runtime.table) ?? '')
        return /[\s"]/.test(text) ? JSON.stringify(text) : text
      })
    const keyOf = (event: EventCursor): string => boundedKey(partsOf(event, keys).join(' '))
    function groupOf(event: EventCursor, fields: typeof keys, key: string): string {
      const parts = partsOf(event, fields)
      return parts.every((part) => part === '') ? key : boundedKey(parts.join(' '))
    }
    function judge(event: EventCursor, fork: number): void {
      const bad = isBad(event)
      if (!bad && !runtime.decisions.hasOpen(rule)) return runtime.trace?.judged({ key: '', bad })
      if (event.late === 1 && loadNewer(event, newer, runtime) && isBad(newer) !== bad) {
        return runtime.trace?.judged({ key: '', bad, contradicted: true })
      }
      const key = keyOf(event)
      const group = groups === undefined ? key : groupOf(event, groups, key)
      runtime.trace?.judged({ key: group, bad, open: runtime.decisions.idOfOpen(rule, group) })
      const described = (): PageDescription => describe(event, words, options, path, () => trail(fork), runtime)
      const host = event.host === 0 ? undefined : runtime.table.text(event.host)
      if (groups === undefined) {
        runtime.decisions.incident(rule, key, bad, options, described, mayBeJoined && bad ? host : undefined)
      } else runtime.decisions.member(rule, group, { key, host: host ?? '', bad }, options, described)
    }
    const member = new Cursor()
    return {
      event(event, fork) {
        judge(event, fork)
        words.complain()
      },
      list(list, fork) {
        for (let i = 0; i < list.length; i++) {
          runtime.progress[2]++
          if (list.load(i, member)) judge(member, fork)
        }
        words.complain()
      },
    }
  },
})

/** Loads what the index knows of the same host and service, where that is newer and not late itself. */
export function loadNewer(event: EventCursor, into: EventCursor, { index }: Runtime): boolean {
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
    ),
    rows: [
      [
        0,
        { host: 'a', state: 'bad', metric: 0.9949494949494949 },
        { page: { action: 'trigger', rule: 'thrown', key: 'a ', summary: 'thrown: a bad (0.9949)' } },
        { page: { action: 'trigger', rule: 'no text', summary: 'no text: a bad (0.9949)' } },
        { throws: 'sdo[0] > incident[0]' },
        { throws: 'sdo[0] > incident[1]' },
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
    name: 'is one for a whole group, from the first that is bad to the last',
    stream: incident('disk', { to: 'oncall', key: 'host', group: 'cluster' }),
    rows: [
      [0, { host: 'a', state: 'ok', attributes: { cluster: 'web' } }],
      [
        1,
        { host: 'a', state: 'bad', attributes: { cluster: 'web' } },
        { page: { action: 'trigger', key: 'web', host: 'a', summary: 'disk: a bad' } },
      ],
      [2, { host: 'b', state: 'bad', attributes: { cluster: 'web' } }],
      [3, { host: 'c', state: 'bad', attributes: { cluster: 'db' } }, { page: { action: 'trigger', key: 'db' } }],
      [4, { host: 'd', state: 'bad' }, { page: { action: 'trigger', key: 'd' } }],
      [5, { host: 'a', state: 'ok', attributes: { cluster: 'web' } }],
      [6, { host: 'a', state: 'bad', attributes: { cluster: 'web' } }],
      [7, { host: 'b', state: 'ok', attributes: { cluster: 'web' } }],
      [8, { host: 'e', state: 'ok', attributes: { cluster: 'web' } }],
      [9, { host: 'a', state: 'ok', attributes: { cluster: 'web' } }],
      // a trigger that was never attempted was taken back without a page, so this is another
      [10, { host: 'a', state: 'bad', attributes: { cluster: 'web' } }, { page: { action: 'trigger', key: 'web' } }],
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
