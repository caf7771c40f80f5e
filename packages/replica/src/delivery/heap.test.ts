import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { Heap } from './heap.ts'

it('the first of a heap is the least of what was added and not taken out, each item once', () => {
  const items = Array.from({ length: 30 }, (_, i) => ({ key: (i * 7) % 13 }))
  const step = fc.record({ add: fc.boolean(), item: fc.nat(items.length - 1) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new Heap<{ readonly key: number }>((item) => item.key)
      const model = new Set<{ readonly key: number }>()
      for (const { add, item } of steps) {
        if (add) heap.add(items[item])
        else heap.delete(items[item])
        if (add) model.add(items[item])
        else model.delete(items[item])
        assert.equal(heap.size, model.size)
        const first = heap.first()
        assert.equal(first?.key, model.size === 0 ? undefined : Math.min(...[...model].map(({ key }) => key)))
        assert.ok(first === undefined || model.has(first))
      }
      let last = -Infinity
      for (let first = heap.first(); first !== undefined; first = heap.first()) {
        assert.ok(first.key >= last)
        last = first.key
        heap.delete(first)
        model.delete(first)
      }
      assert.equal(model.size, 0)
    }),
    { numRuns: 300 },
  )
})
