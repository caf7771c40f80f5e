import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Incident, Listed } from '@ricci/engine'
import { incidentsText } from './incidents-text.ts'

interface Answer {
  readonly incidents: { readonly open: Incident[]; readonly closed: Incident[] }
  readonly pages: unknown[]
  readonly cursor?: string
}

/** An engine with so many open incidents, each of so many characters. */
function engineWith(count: number, length: number) {
  const told = { taken: 0 }
  return {
    told,
    *listed(cursor = '-1'): Generator<Listed> {
      for (let i = Number(cursor) + 1; i < count; i++) {
        told.taken++
        yield { kind: 'open', incident: { summary: 'x'.repeat(length) } as Incident, cursor: String(i) }
      }
    },
  }
}

describe('the text of incidents', () => {
  it('holds as many as are asked for, and a cursor where there are more', () => {
    const engine = engineWith(5, 10)
    const parts: Answer[] = []
    for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
      parts.push(JSON.parse(incidentsText(engine, { limit: 2, cursor })) as Answer)
      cursor = parts.at(-1)!.cursor
    }
    assert.deepEqual(
      parts.map(({ incidents, cursor }) => [incidents.open.length, cursor]),
      [
        [2, '1'],
        [2, '3'],
        [1, undefined],
      ],
    )
    assert.equal('cursor' in (JSON.parse(incidentsText(engineWith(2, 10), { limit: 2 })) as Answer), false)
  })

  it('ends after half a megabyte, whatever was asked for', () => {
    const engine = engineWith(100_000, 16_000)
    const text = incidentsText(engine, { limit: 1_000 })
    assert.ok(text.length > 500_000 && text.length < 600_000, `${text.length}`)
    assert.ok(engine.told.taken < 40, 'what is not given is not looked at')
    assert.equal((JSON.parse(text) as Answer).cursor, String(engine.told.taken - 2))
  })
})
