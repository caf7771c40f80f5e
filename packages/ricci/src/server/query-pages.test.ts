// An answer in parts, from a real engine: whatever values the events have, each comes once and in the order of the whole.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Event } from '@ricci/client'
import { Bench } from './testing.ts'

interface Answer {
  readonly events: readonly Event[]
  readonly cursor?: string
}

const services = (events: readonly Event[]) => events.map(({ service }) => service)

it('goes on behind the last event, and says so where there is more', { timeout: 60_000 }, async (context) => {
  // times and ttls that the wire has not, numbers of every kind
  const bench = new Bench(`import { index, rules, smap } from 'ricci'
export default rules(smap((event) => ({ ...event.copy(), time: event.time + event.metric / 7e6, ttl: 3_000 + event.metric / 7 }), index()))
`)
  context.after(() => bench.close())
  const server = bench.server()
  const { tcp, http } = await server.start()
  await server.ready()
  const count = 23
  const time = Math.floor(Date.now() / 1000)
  await bench.client(tcp).send(
    Array.from({ length: count }, (_, i) => ({
      host: `h${i % 5}`,
      service: `s${i}`,
      metric: i % 3 === 0 ? i / 3 : i % 7,
      ...(i % 4 > 0 && { state: i % 2 > 0 ? 'ok' : 'Größe' }),
      ...(i % 6 > 2 && { tags: ['b', `t${i % 2}`] }),
      time,
    })),
  )
  const ask = async (query: string, more: string): Promise<Answer> => {
    const answer = await fetch(`http://${http}/api/v1/query?query=${encodeURIComponent(query)}${more}`)
    assert.equal(answer.status, 200)
    return (await answer.json()) as Answer
  }
  for (const sort of [
    '',
    'time',
    'time desc',
    'ttl',
    'metric desc',
    'state',
    'tags',
    'state desc metric',
    'description',
  ]) {
    const query = `metric >= 0${sort && ` sort by ${sort}`}`
    const { events, cursor: none } = await ask(query, '&cursor=')
    assert.deepEqual([events.length, none], [count, undefined])
    // what the wire cuts off of times is told there
    if (sort !== '') assert.deepEqual(services((await ask(query, '')).events), services(events), sort)
    for (const limit of [1, 4, count - 1, count]) {
      const told: Event[] = []
      for (let cursor: string | undefined = ''; cursor !== undefined;) {
        const page: Answer = await ask(query, `&limit=${limit}&cursor=${cursor}`)
        told.push(...page.events)
        assert.ok(told.length <= count, `${sort}: it does not go on`)
        ;({ cursor } = page)
      }
      assert.deepEqual(told, events, `${sort}, ${limit} at a time`)
    }
  }
})
