import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { operatorFigures } from './operator-figures.ts'

const stats = (operator: string, taken: number, keys = 1, bytes = 10) => ({ operator, taken, keys, bytes })

describe('figures of operators', () => {
  it('are summed over partitions, by path', () => {
    assert.deepEqual(operatorFigures([[stats('by[0]', 3), stats('by[0] > stable[0]', 2)], [stats('by[0]', 4)], []]), [
      stats('by[0]', 7, 2, 20),
      stats('by[0] > stable[0]', 2),
    ])
  })

  it('are no more series than the limit, and those beyond it are told as one', () => {
    const many = (from: number) => Array.from({ length: 10 }, (_, i) => stats(`tap[${from + i}]`, 1))
    const told = operatorFigures([many(0), many(5)], 4)
    assert.deepEqual(
      told.map(({ operator, taken }) => [operator, taken]),
      [
        ['tap[0]', 1],
        ['tap[1]', 1],
        ['tap[2]', 1],
        ['tap[3]', 1],
        ['(others)', 16],
      ],
    )
  })
})
