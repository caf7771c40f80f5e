import type { EventCursor } from '@ricci/client'
import type { Expression, Operand } from './ast.ts'
import { compileRegex } from './regex.ts'

/** So many conditions cost what it costs to look at a row, some 100 ns. */
const conditionsPerRow = 8
/** So many bytes of a description cost as much: it is decoded, and a regular expression takes 5 to 35 ns for each, */
const bytesPerRow = 16
/**
 * while it has no more than so many states. A large one may take 20 to 60 ns for each of its states, where common ones of a hundred take little more than a
 * small one does: it costs more by the cube, up to that.
 */
const cheapStates = 50
const bytesPerState = 4

/**
 * What it costs to put an expression to an event, in rows of a simple one: a thousand conditions over 20,000 rows took half a second,
 * and a regular expression over as many long descriptions took three.
 */
export function costOf(where: Expression): (event: EventCursor) => number {
  const { conditions, reads } = countOf(where)
  const cost = 1 + Math.floor(conditions / conditionsPerRow)
  if (reads.length === 0) return () => cost
  return ({ descriptionLength }) => {
    let bytes = 0
    for (const { most, weight } of reads) bytes += Math.min(most, Math.max(0, descriptionLength)) * weight
    return cost + Math.floor(bytes / bytesPerRow)
  }
}

/** A condition that reads the description: at most so many bytes, each of which costs so much. */
interface Read {
  readonly most: number
  readonly weight: number
}

/** Conditions in all, and what those read that read the description. */
interface Count {
  readonly conditions: number
  readonly reads: readonly Read[]
}

function countOf(where: Expression): Count {
  switch (where.kind) {
    case 'and':
    case 'or': {
      const counts = where.terms.map(countOf)
      return {
        conditions: counts.reduce((sum, { conditions }) => sum + conditions, 0),
        reads: counts.flatMap(({ reads }) => reads),
      }
    }
    case 'not':
      return countOf(where.term)
    case 'comparison':
      return isDescription(where.left) || isDescription(where.right) ? reading(whole) : one
    case 'wildcard':
      return isDescription(where.left) ? reading(whole) : one
    case 'regex': {
      if (!isDescription(where.left)) return one
      const { looksAt, states } = compileRegex(where.pattern)
      return reading({ most: looksAt, weight: weightOf(states) })
    }
    case 'tagged':
    case 'truth':
      return one
  }
}

function weightOf(states: number): number {
  const times = states / cheapStates
  return Math.min(bytesPerState * states, Math.max(1, times * times * times))
}

const isDescription = (operand: Operand): boolean => operand.kind === 'field' && operand.name === 'description'
const one: Count = { conditions: 1, reads: [] }
const whole: Read = { most: Infinity, weight: 1 }
const reading = (read: Read): Count => ({ conditions: 1, reads: [read] })
