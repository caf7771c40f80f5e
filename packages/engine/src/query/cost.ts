import type { EventCursor } from '@ricci/client'
import type { Expression, Operand } from './ast.ts'

/** So many conditions cost what it costs to look at a row, some 100 ns. */
const conditionsPerRow = 8
/** So many bytes of a description cost as much: it is decoded, and a regular expression takes 5 to 35 ns for each. */
const bytesPerRow = 16

/**
 * What it costs to put an expression to an event, in rows of a simple one: a thousand conditions over 20,000 rows took half a second,
 * and a regular expression over as many long descriptions took three.
 */
export function costOf(where: Expression): (event: EventCursor) => number {
  const { conditions, descriptions } = countOf(where)
  const cost = 1 + Math.floor(conditions / conditionsPerRow)
  if (descriptions === 0) return () => cost
  return ({ descriptionLength }) => cost + Math.floor((descriptions * Math.max(0, descriptionLength)) / bytesPerRow)
}

/** Conditions in all, and those that read the description. */
interface Count {
  readonly conditions: number
  readonly descriptions: number
}

function countOf(where: Expression): Count {
  switch (where.kind) {
    case 'and':
    case 'or': {
      const counts = where.terms.map(countOf)
      return {
        conditions: counts.reduce((sum, { conditions }) => sum + conditions, 0),
        descriptions: counts.reduce((sum, { descriptions }) => sum + descriptions, 0),
      }
    }
    case 'not':
      return countOf(where.term)
    case 'comparison':
      return one(where.left, where.right)
    case 'wildcard':
    case 'regex':
      return one(where.left)
    case 'tagged':
    case 'truth':
      return one()
  }
}

function one(...operands: readonly Operand[]): Count {
  const reads = operands.some((operand) => operand.kind === 'field' && operand.name === 'description')
  return { conditions: 1, descriptions: reads ? 1 : 0 }
}
