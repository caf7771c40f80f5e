/** What is told of partitions that nobody answered for. */
import { RicciError } from '../errors.ts'
import { isUnowned } from './coverage.ts'
import type { Missing } from './protocol.ts'

/** For people: whose events are not in an answer, and why; undefined where all are. */
export function missingSentence(missing: readonly Missing[]): string | undefined {
  if (missing.length === 0) return undefined
  const parts = [
    [missing.filter(isUnowned), 'has no owner', 'have no owner'],
    [missing.filter((one) => !isUnowned(one)), 'did not answer in time', 'did not answer in time'],
  ] as const
  const said = parts.flatMap(([some, one, several]) => {
    if (some.length === 0) return []
    const names = some.map(({ partition }) => partition).join(', ')
    return [some.length === 1 ? `partition ${names} ${one}` : `partitions ${names} ${several}`]
  })
  return said.join('; ')
}

/** For who wants all or nothing. */
export function notEvaluated(missing: readonly Missing[], partitions: number): RicciError {
  const why = partitions === 1 ? '' : `: ${missingSentence(missing)}`
  return new RicciError('NOT_EVALUATED', `not evaluated yet${why}`)
}
