import type { Event } from '@ricci/client'
import {
  index,
  incident,
  by,
  changed,
  notify,
  rules,
  stable,
  tap,
  throttle,
  where,
  type RulesDescription,
  type RulesRecord,
} from '@ricci/engine'
import { createHash } from 'node:crypto'

const down = (): ReturnType<typeof where> =>
  where('service = "alive"', incident('host-down', { bad: 'state = "expired"', to: 'pager' }))
const check = (): ReturnType<typeof where> =>
  where('service = "check" and state != "expired"', incident('check', { bad: 'state != "ok"', to: 'keyed' }))
const deploy = (sees: Sees): ReturnType<typeof where> =>
  where(
    'service = "deploy" and state = "done"',
    where((e) => sees(e), notify('chat', { name: 'deploy' })),
  )
const burst = (): ReturnType<typeof where> =>
  where('service =~ "burst %" and state != "expired"', incident('burst', { bad: 'state != "ok"', to: 'keyed' }))
const stuck = (): ReturnType<typeof where> =>
  where(
    'service = "stuck" and state != "expired"',
    incident(stuckRule, {
      bad: 'state != "ok"',
      to: 'keyed',
      escalate: [{ after: escalateAfterMs / 1_000, to: 'pager' }],
    }),
  )
const noise = (): ReturnType<typeof where> =>
  where(
    'service = "noise" and state != "expired"',
    by('host', throttle(noiseLimit.pages, noiseLimit.seconds, notify('chat', { name: 'noise' }))),
  )
/** What lies below has state: whoever took in an event that was to be left out has another hash from then on. */
const grinding = (grinds: Grinds): ReturnType<typeof where> =>
  where(
    'service = "grind" and state != "expired"',
    where((e) => grinds(e), by('host', changed('description', tap('ground')))),
  )

/** Called with an event at which an engine may stall; always true. */
type Grinds = (event: Readonly<Event>) => boolean

/** Called with an event that pages; false where an engine has gone wrong. */
type Sees = (event: Readonly<Event>) => boolean

/** What an engine may do wrong. */
export interface Lapses {
  readonly grinds: Grinds
  readonly sees: Sees
}

/** `noise`: so many pages of each host in each so many seconds of the calendar. */
export const noiseLimit = { pages: 2, seconds: 20 } as const

/** Small enough that bursts and sick receivers reach them. */
export const decisionLimits = { pagesPerMinute: 12, pendingPerReceiver: 25 } as const

/** Told of receivers that could not be. */
export const fallbackReceiver = 'pager'

/** What waited for so long goes as one digest; an hour in the product: runs last minutes. */
export const digestAgeMs = 45_000

/** Incident of what gets stuck, and owned time after which somebody else is told. */
export const stuckRule = 'stuck'
export const escalateAfterMs = 20_000

/** What every variant decides alike; the truth is told by it. */
const judged = ({ grinds, sees }: Lapses): ReturnType<typeof where>[] => [
  down(),
  check(),
  deploy(sees),
  burst(),
  stuck(),
  noise(),
  grinding(grinds),
]

/**
 * Rules that a run starts with and switches between. All decide the same about what the truth is told by;
 * around these, operators with state come, move and go.
 */
const variants: Readonly<Record<string, (lapses: Lapses) => RulesDescription>> = {
  plain: (lapses) => rules(index(), ...judged(lapses)),
  load: (lapses) =>
    rules(
      index(),
      ...judged(lapses),
      where(
        'service = "load"',
        by(
          'host',
          stable(10, (e) => Number(e.metric) > 0.9, incident('load', { bad: 'metric > 0.9', to: 'pager' })),
        ),
      ),
    ),
  turned: (lapses) =>
    rules(
      where(
        'service = "load"',
        by(
          'host',
          stable(5, (e) => Number(e.metric) > 0.9, incident('load', { bad: 'metric > 0.9', to: 'pager' }), tap('load')),
        ),
      ),
      ...judged(lapses).slice(1).reverse(),
      by('host', down()),
      index(),
    ),
}

/** The bundle of a variant is its name: {@link loadVariant} looks it up. */
export const rulesRecords: readonly RulesRecord[] = Object.keys(variants).map((name) => {
  const bundle = new TextEncoder().encode(name)
  return {
    kind: 'rules',
    hash: createHash('sha256').update(bundle).digest('hex'),
    settings: { fallbackReceiver, ...decisionLimits },
    semantics: 1,
    bundle,
  }
})

const flawless: Lapses = { grinds: () => true, sees: () => true }

/** @param lapses told of events at which the engine may stall or go wrong; without it none ever does */
export function loadVariant(record: RulesRecord, lapses: Lapses = flawless): RulesDescription {
  return variants[new TextDecoder().decode(record.bundle)](lapses)
}
