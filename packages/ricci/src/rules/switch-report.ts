import type { RulesReport } from '@ricci/engine'

/** How many operators of a kind are named; the rest is counted. */
const named = 3

/**
 * What a switch of rules did to the state of operators, as one line for people.
 * @example "2 operators keep what they hold, 1 begins anew (by[1] > stable[0]), none are dropped"
 */
export function describeSwitch({ kept, fresh, dropped }: RulesReport): string {
  const count = (paths: readonly string[], one: string, many: string): string => {
    if (paths.length === 0) return `none ${many}`
    const more = paths.length > named ? ', …' : ''
    return `${paths.length} ${paths.length === 1 ? one : many} (${paths.slice(0, named).join(', ')}${more})`
  }
  if (kept.length + dropped.length === 0) {
    if (fresh.length === 0) return 'no operator holds anything'
    return `${fresh.length} ${fresh.length === 1 ? 'operator begins' : 'operators begin'} anew, nothing was held before`
  }
  const keeping = `${kept.length === 1 ? '1 operator keeps' : `${kept.length} operators keep`} what they hold`
  return `${keeping}, ${count(fresh, 'begins anew', 'begin anew')}, ${count(dropped, 'is dropped', 'are dropped')}`
}
