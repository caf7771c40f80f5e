import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { Bench } from './testing.ts'

let bench: Bench | undefined
afterEach(() => bench?.close())

describe('An engine that an event stalls or kills', () => {
  it(
    'is abandoned; the event is skipped in that branch, and everything else goes on',
    { timeout: 60_000 },
    async () => {
      bench = new Bench(`import { index, rules, where, tap } from 'ricci'
// put together: spelt out, the checks before a switch would come upon it
const stalling = ['ha', 'ng'].join('')
export default rules(
  index(),
  where((event) => {
    while (event.service === stalling);
    return true
  }, tap('seen')),
)
`)
      const server = bench.server()
      const { tcp, http } = await server.start()
      await server.ready()
      const client = bench.client(tcp)
      await client.send([{ host: 'a', service: 'before', ttl: 3600 }])
      await client.send([
        { host: 'a', service: 'hang', ttl: 3600 },
        { host: 'a', service: 'beside', ttl: 3600 },
      ])
      await bench.said(/for two seconds, in where/)
      await client.send([{ host: 'a', service: 'after', ttl: 3600 }])
      assert.deepEqual(await bench.services(http, 'after'), ['after', 'before', 'beside', 'hang'])
      const status = await server.status()
      assert.equal(status.partitions[0].engine.generation, 2)
      assert.match(
        await (await fetch(`http://${http}/metrics`)).text(),
        /^ricci_engine_restarts_total\{reason="ENGINE_STUCK"\} 1$/m,
      )
    },
  )

  it('stalls it no more than three times, however many such events came at once', { timeout: 90_000 }, async () => {
    bench = new Bench(`import { index, rules, where, tap } from 'ricci'
const stalling = ['ha', 'ng'].join('')
export default rules(
  index(),
  where((event) => {
    while (event.service === stalling);
    return true
  }, tap('seen')),
)
`)
    const { tcp, http } = await bench.server().start()
    const client = bench.client(tcp)
    await Promise.all(Array.from({ length: 30 }, () => client.send([{ host: 'a', service: 'hang', ttl: 3600 }])))
    await client.send([{ host: 'a', service: 'after', ttl: 3600 }])
    await bench.said(/stalled the engine 3 times and is out/)
    assert.deepEqual(await bench.services(http, 'after'), ['after', 'hang'])
    const metrics = await (await fetch(`http://${http}/metrics`)).text()
    assert.match(metrics, /^ricci_engine_restarts_total\{reason="ENGINE_STUCK"\} 3$/m)
  })

  it(
    'dies of one event, twice: that event is skipped in that branch, and everything else goes on',
    { timeout: 120_000 },
    async () => {
      bench = new Bench(`import { index, rules, where, tap } from 'ricci'
const dying = ['di', 'e'].join('')
const held: object[] = []
export default rules(
  index(),
  where((event) => {
    if (event.service === dying) for (;;) held.push(new Array(1_000).fill(0.5))
    return true
  }, tap('seen')),
)
`)
      const server = bench.server({ engineLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 } })
      const { tcp, http } = await server.start()
      await server.ready()
      const client = bench.client(tcp)
      await client.send([{ host: 'a', service: 'before', ttl: 3600 }])
      await client.send([
        { host: 'a', service: 'die', ttl: 3600 },
        { host: 'a', service: 'beside', ttl: 3600 },
      ])
      await bench.said(/ran out of memory.*event 0 of record \d+, in where/)
      await client.send([{ host: 'a', service: 'after', ttl: 3600 }])
      assert.deepEqual(await bench.services(http, 'after'), ['after', 'before', 'beside', 'die'])
      // the first death is excused
      const metrics = await (await fetch(`http://${http}/metrics`)).text()
      assert.match(metrics, /^ricci_engine_restarts_total\{reason="ENGINE_DIED"\} 2$/m)
      assert.equal((await server.status()).partitions[0].engine.generation, 3)
    },
  )

  it(
    'tells once what a rule threw, though the engine that comes next meets it again',
    { timeout: 60_000 },
    async () => {
      bench = new Bench(`import { index, rules, smap, where, tap } from 'ricci'
const stalling = ['ha', 'ng'].join('')
export default rules(
  index(),
  smap((event) => { if (event.host === 'a') throw new Error('about ' + event.service); return null }),
  where((event) => { while (event.service === stalling); return true }, tap('seen')),
)
`)
      const server = bench.server()
      const { tcp, http } = await server.start()
      await server.ready()
      const client = bench.client(tcp)
      await client.send([{ host: 'a', service: 'early', ttl: 3600 }])
      await bench.said(/about early/)
      await client.send([{ host: 'a', service: 'hang', ttl: 3600 }])
      await bench.said(/for two seconds, in where/)
      await client.send([{ host: 'a', service: 'late', ttl: 3600 }])
      await bench.services(http, 'late')
      await bench.said(/about late/)
      const told = bench.logged.flatMap((line) => /a rule threw: .*about (\w+)/.exec(line)?.[1] ?? [])
      assert.deepEqual(told, ['early', 'hang', 'late'])
      assert.match(await (await fetch(`http://${http}/metrics`)).text(), /^ricci_rule_errors_total 3$/m)
    },
  )

  it('says which rule threw, and goes on', async () => {
    bench = new Bench(`import { index, rules, smap } from 'ricci'
export default rules(index(), smap((event) => { throw new Error('from the rule: ' + event.service) }, index()))
`)
    const server = bench.server()
    const { tcp } = await server.start()
    await server.ready()
    const client = bench.client(tcp)
    await client.send([{ host: 'a', service: 'x' }])
    assert.match(await bench.said(/a rule threw/), /from the rule: x/)
    assert.equal((await client.query('true')).length, 1)
  })
})
