import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Incident, Listed } from '@ricci/engine'
import { listedText } from './incidents-text.ts'

interface Answer {
  readonly items: readonly { readonly cursor: string; readonly value: Incident }[]
  readonly more: boolean
}

/** An engine with so many open incidents, each of so many characters. */
function engineWith(count: number, length: number) {
  const told = { taken: 0 }
  return {
    told,
    *listed(cursor = 'open'): Generator<Listed> {
      for (let i = cursor === 'open' ? 0 : Number(cursor) + 1; i < count; i++) {
        told.taken++
        yield { kind: 'open', incident: { summary: 'x'.repeat(length) } as Incident, cursor: String(i) }
      }
    },
  }
}

describe('the text of incidents', () => {
  it('holds as many of a kind as are asked for, each with its cursor, and says whether there are more', () => {
    const engine = engineWith(5, 10)
    const parts: Answer[] = []
    for (let cursor: string | undefined, more = true; more; { more } = parts.at(-1)!) {
      parts.push(JSON.parse(listedText(engine, { kind: 'open', limit: 2, cursor })) as Answer)
      cursor = parts.at(-1)!.items.at(-1)!.cursor
    }
    assert.deepEqual(
      parts.map(({ items, more }) => [items.map(({ cursor }) => cursor), more]),
      [
        [['0', '1'], true],
        [['2', '3'], true],
        [['4'], false],
      ],
    )
    assert.deepEqual(JSON.parse(listedText(engineWith(2, 10), { kind: 'page', limit: 2 })), { items: [], more: false })
  })

  it('ends after half a megabyte, whatever was asked for', () => {
    const engine = engineWith(100_000, 16_000)
    const text = listedText(engine, { kind: 'open', limit: 1_000 })
    assert.ok(text.length > 500_000 && text.length < 600_000, `${text.length}`)
    assert.ok(engine.told.taken < 40, 'what is not given is not looked at')
    assert.equal((JSON.parse(text) as Answer).items.at(-1)!.cursor, String(engine.told.taken - 2))
  })
})
