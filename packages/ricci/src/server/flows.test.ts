/** Flows between real servers: what one forwards, another takes once. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Config } from '../config/config.ts'
import { parseConfig } from '../config/config.ts'
import type { Server } from './server.ts'
import { Bench } from './testing.ts'

const forwarding = `import { forward, index, rules, where } from 'ricci'
export default rules(index(), where('service =~ "cpu %"', forward('upstream')))
`

/** What the configuration makes of a sink that is another server. */
function to(address: string): Pick<Config, 'sinks'> {
  const text = JSON.stringify({ sinks: { upstream: { type: 'riemann', addresses: [address] } } })
  return { sinks: parseConfig(text, 'test.json', {}).sinks }
}

async function flowOf(server: Server) {
  const { partitions } = await server.status()
  return partitions[0].replica.flows.find(({ sink }) => sink === 'upstream')
}

/** Resolves once all that it forwards is at its sink, and its log says so. */
async function flowed(server: Server, position: number): Promise<void> {
  while ((await flowOf(server))?.through !== position);
}

describe('a flow to another Ricci', () => {
  it('takes what matches there, goes on after a restart, and doubles nothing', async (context) => {
    const upstream = new Bench()
    const bench = new Bench(forwarding)
    context.after(() => Promise.all([bench.close(), upstream.close()]))
    const there = upstream.server()
    const { tcp: address, http } = await there.start()
    const config = bench.config(to(address!))
    const first = bench.server({ config })
    const { tcp } = await first.start()
    await first.ready()
    const client = bench.client(tcp)
    const event = (service: string) => ({ host: 'a', service, metric: 1, ttl: 600 })
    await client.send([event('cpu 1'), event('memory'), event('cpu 2')])
    await client.send(event('cpu 3'))
    assert.deepEqual(await upstream.services(http, 'cpu 3'), ['cpu 1', 'cpu 2', 'cpu 3'])
    await flowed(first, 2)
    const { events, delivered, dropped, refused } = (await flowOf(first))!
    assert.deepEqual([events, delivered, dropped, refused], [0, 3, 0, 0])
    await first.stop()

    const second = bench.server({ config })
    const { tcp: again } = await second.start()
    await second.ready()
    await bench.client(again).send(event('cpu 4'))
    assert.deepEqual(await upstream.services(http, 'cpu 4'), ['cpu 1', 'cpu 2', 'cpu 3', 'cpu 4'])
    const { partitions } = await there.status()
    assert.equal(partitions[0].engine.repeats, 0, 'nothing came twice')
    const answer = await fetch(`http://${http}/api/v1/query?query=${encodeURIComponent('service = "cpu 4"')}`)
    const found = (await answer.json()) as { events: { attributes?: Record<string, string> }[] }
    assert.equal(found.events[0].attributes?.['ricci-hops'], '1')
  })

  it('between two that forward to each other ends after four hops', async (context) => {
    const [one, other] = [new Bench(forwarding), new Bench(forwarding)]
    context.after(() => Promise.all([one.close(), other.close()]))
    // one's address is known before the other starts, and the other way round by a port that is free
    const there = other.server({ config: other.config(to('127.0.0.1:9')) })
    const { tcp: otherAddress } = await there.start()
    const here = one.server({ config: one.config(to(otherAddress!)) })
    const { tcp } = await here.start()
    await there.stop()
    const port = Number(otherAddress!.split(':').at(-1))
    const back = other.server({
      config: other.config({
        ...to(tcp!),
        listen: { tcp: { host: '127.0.0.1', port }, http: { host: '127.0.0.1', port: 0 } },
      }),
    })
    await back.start()
    await Promise.all([here.ready(), back.ready()])
    await one.client(tcp).send({ host: 'a', service: 'cpu 1', metric: 1 })
    // from one to the other, back, once more to and fro: the first has it again, and does not send it
    while ((await flowOf(here))?.refused !== 1);
    assert.deepEqual([(await flowOf(here))!.delivered, (await flowOf(back))!.delivered], [2, 2])
  })
})
