import {
  index,
  incident,
  by,
  notify,
  rules,
  stable,
  tap,
  where,
  type RulesDescription,
  type RulesRecord,
} from '@ricci/engine'
import { createHash } from 'node:crypto'

const down = (): ReturnType<typeof where> =>
  where('service = "alive"', incident('host-down', { bad: 'state = "expired"', to: 'pager' }))
const check = (): ReturnType<typeof where> =>
  where('service = "check" and state != "expired"', incident('check', { bad: 'state != "ok"', to: 'keyed' }))
const deploy = (): ReturnType<typeof where> =>
  where('service = "deploy" and state = "done"', notify('chat', { name: 'deploy' }))

/**
 * Rules that a run starts with and switches between. All decide the same about presence, checks and deploys, which the truth
 * is told by; around these, operators with state come, move and go.
 */
const variants: Readonly<Record<string, () => RulesDescription>> = {
  plain: () => rules(index(), down(), check(), deploy()),
  load: () =>
    rules(
      index(),
      down(),
      check(),
      deploy(),
      where(
        'service = "load"',
        by(
          'host',
          stable(10, (e) => Number(e.metric) > 0.9, incident('load', { bad: 'metric > 0.9', to: 'pager' })),
        ),
      ),
    ),
  turned: () =>
    rules(
      where(
        'service = "load"',
        by(
          'host',
          stable(5, (e) => Number(e.metric) > 0.9, incident('load', { bad: 'metric > 0.9', to: 'pager' }), tap('load')),
        ),
      ),
      deploy(),
      check(),
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
    settings: { fallbackReceiver: 'pager' },
    semantics: 1,
    bundle,
  }
})

export function loadVariant(record: RulesRecord): RulesDescription {
  return variants[new TextDecoder().decode(record.bundle)]()
}
