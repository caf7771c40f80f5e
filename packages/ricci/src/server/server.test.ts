import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { parseConfig } from '../config/config.ts'
import type { RicciError } from '../errors.ts'
import type { TypeCheck } from '../rules/type-check.ts'
import { createLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { Bench, plainRules } from './testing.ts'

const benches: Bench[] = []
function bench(rules?: string): Bench {
  const made = new Bench(rules)
  benches.push(made)
  return made
}
afterEach(async () => {
  for (const each of benches.splice(0)) await each.close()
})

describe('Server', () => {
  it('takes an event in, finds it again, and after a stop and a start as well', async () => {
    const b = bench()
    const first = b.server()
    const { tcp, http } = await first.start()
    await first.ready()
    const client = b.client(tcp)
    await client.send([{ host: 'a', service: 'cpu', metric: 0.5, state: 'ok', ttl: 3600 }])
    const [found] = await client.query('service = "cpu"')
    assert.deepEqual([found.host, found.metric, found.state], ['a', 0.5, 'ok'])
    const overHttp = (await (await fetch(`http://${http}/api/v1/query?query=true`)).json()) as { events: unknown[] }
    assert.equal(overHttp.events.length, 1)
    assert.equal((await fetch(`http://${http}/readyz`)).status, 200)
    await first.stop()
    assert.equal(first.stop(), first.stop())

    const second = b.server()
    const again = await second.start()
    await second.ready()
    assert.equal((await b.client(again.tcp).query('host = "a"')).length, 1)
    assert.deepEqual(b.logged, [])
  })

  it('answers queries with all events, also one whose time is beyond every calendar', async () => {
    const b = bench()
    const { tcp, http } = await b.server().start()
    const client = b.client(tcp)
    await client.send({ host: 'b', time: Date.now() / 1000 })
    const largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
    assert.deepEqual(await client.sendMsg(Uint8Array.of(0x32, 13, 0x08, ...largest, 0x22, 1, 0x61)), { ok: true })
    assert.deepEqual(
      (await client.query('true sort by host')).map(({ host }) => host),
      ['a', 'b'],
    )
    const json = await (await fetch(`http://${http}/api/v1/query?query=true`)).json()
    assert.equal((json as { events: unknown[] }).events.length, 2)
  })

  it('sends what a rule decides to the console', async () => {
    const b = bench(`import { incident, index, rules, where } from 'ricci'
export default rules(index(), where('service = "disk"', incident('disk-full', { bad: 'metric > 0.9', to: 'console' })))
`)
    const server = b.server()
    const { tcp, http } = await server.start()
    await server.ready()
    const client = b.client(tcp)
    await client.send([{ host: 'a', service: 'disk', metric: 0.95, description: 'nearly full' }])
    assert.match(await b.said(/^PAGE/), /disk-full.*a disk/)
    await client.send([{ host: 'a', service: 'disk', metric: 0.2 }])
    assert.match(await b.said(/^RESOLVED/), /disk-full/)
    const incidents = (await (await fetch(`http://${http}/api/v1/incidents`)).json()) as { incidents: object }
    assert.deepEqual(Object.keys(incidents.incidents), ['open', 'closed'])
  })

  it('answers a wrong query with its mistake, over TCP and HTTP', async () => {
    const b = bench()
    const server = b.server()
    const { tcp, http } = await server.start()
    await server.ready()
    await assert.rejects(b.client(tcp).query('service = '), /query: /)
    const answer = await fetch(`http://${http}/api/v1/query?query=${encodeURIComponent('service = ')}`)
    assert.equal(answer.status, 400)
    assert.equal(((await answer.json()) as { code: string }).code, 'QUERY_SYNTAX')
  })

  it('streams changes of the index to a watcher', async () => {
    const b = bench()
    const server = b.server()
    const { tcp, http } = await server.start()
    await server.ready()
    const gone = new AbortController()
    const watch = await fetch(`http://${http}/api/v1/watch?query=${encodeURIComponent('metric > 1')}`, {
      signal: gone.signal,
    })
    const reader = watch.body!.getReader()
    await b.client(tcp).send([
      { host: 'a', service: 'x', metric: 1 },
      { host: 'a', service: 'y', metric: 2 },
    ])
    const { value } = await reader.read()
    assert.deepEqual((JSON.parse(new TextDecoder().decode(value)) as { service: string }).service, 'y')
    gone.abort()
    const wrong = await fetch(`http://${http}/api/v1/watch?query=(`)
    assert.equal(wrong.status, 400)
  })

  it('refuses a second server on the same data, and a port in use, and leaves nothing open', async () => {
    const b = bench()
    const server = b.server()
    await server.start()
    await assert.rejects(b.server().start(), { code: 'DATA_IN_USE' })
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    const other = bench()
    for (const listener of ['tcp', 'http'] as const) {
      const config = other.config()
      const listen = { ...config.listen, [listener]: { host: '127.0.0.1', port } }
      await assert.rejects(other.server({ config: { ...config, listen } }).start(), (error: RicciError) => {
        assert.equal(error.code, 'LISTEN')
        assert.match(error.message, /the port is in use/)
        return true
      })
    }
    await new Promise((resolve) => taken.close(resolve))
  })

  it('will not begin an empty log without rules, and goes on with the old ones when the folder is broken', async () => {
    const b = bench('export default nonsense(')
    await assert.rejects(b.server().start(), { code: 'RULES_INVALID' })
    b.writeRules(`import { index, rules } from 'ricci'\nexport default rules(index())\n`)
    const first = b.server()
    await first.start()
    await first.ready()
    b.writeRules('export default nonsense(')
    await assert.rejects(first.reload(), { code: 'RULES_INVALID' })
    assert.match(JSON.stringify(first.readiness()), /old ones run on/)
    await first.stop()
    const second = b.server()
    await second.start()
    await second.ready()
    assert.equal(second.readiness().ready, true)
    assert.match(await b.said(/run on/), /the rules in force run on/)
  })

  it('checks nothing at a start where it switches nothing, but holds the rules in force to the receivers', async () => {
    const b = bench(
      `import { notify, rules, tagged } from 'ricci'\nexport default rules(tagged('x', notify('chat')))\n`,
    )
    const chat = parseConfig('receivers: { chat: { type: console } }', 'test.yaml').receivers.get('chat')!
    let checks = 0
    const types = { check: async () => `${++checks}`, close: async () => undefined } as unknown as TypeCheck
    const first = b.server({
      types,
      config: b.config({ receivers: new Map([...b.config().receivers, ['chat', chat]]) }),
    })
    await first.start()
    await first.ready()
    assert.equal(checks, 1)
    assert.equal(
      first.readiness().degraded.find(({ part }) => part === 'rules'),
      undefined,
    )
    await first.stop()
    const second = b.server({ types })
    await second.start()
    await second.ready()
    assert.equal((await second.reload()).switched, false)
    assert.equal(checks, 1)
    const lacking = /notify chat: there is no receiver "chat"; add it to the configuration/
    assert.match(JSON.stringify(second.readiness().degraded), new RegExp(lacking.source.replaceAll('"', '.{1,2}')))
    await b.said(lacking)
  })

  it('asked to reload while it starts, it does so once it has', async () => {
    const server = bench().server()
    const starting = server.start()
    const reloading = server.reload()
    await starting
    assert.deepEqual(await reloading, { switched: false })
    await server.ready()
    assert.deepEqual(
      (await server.status()).degraded.filter(({ part }) => part === 'rules'),
      [],
    )
  })

  it('a reload before any start is refused, and leaves no trace', async () => {
    const server = bench().server()
    await assert.rejects(server.reload(), { code: 'NOT_RUNNING' })
    await server.start()
    await server.ready()
    assert.deepEqual(
      (await server.status()).degraded.filter(({ part }) => part === 'rules'),
      [],
    )
  })

  it('switches to nothing whose check the end of the server cut short', async () => {
    const b = bench()
    const answers: string[] = []
    const types = { check: async () => answers.shift(), close: async () => undefined } as unknown as TypeCheck
    const log = createLogger({ format: 'people', write: () => void server.stop() })
    const server = b.server({ types, telemetry: new Telemetry(log, () => 0) })
    await server.start()
    await server.ready()
    answers.push('its process was ended')
    b.writeRules(plainRules.replace('index()', 'index(), index()'))
    await assert.rejects(server.reload(), { code: 'NOT_RUNNING' })
    await server.stop()
  })

  it('switches rules at a reload, once', async () => {
    const b = bench()
    const server = b.server()
    const { tcp } = await server.start()
    await server.ready()
    assert.deepEqual(await server.reload(), { switched: false })
    b.writeRules(`import { incident, index, rules } from 'ricci'
export default rules(index(), incident('bad', { bad: 'state = "bad"', to: 'console' }))
`)
    const { switched, report } = await server.reload()
    assert.equal(switched, true)
    assert.deepEqual(report?.dropped, [])
    await b.client(tcp).send([{ host: 'a', service: 's', state: 'bad' }])
    await b.said(/^PAGE.*bad/)
    const { rules } = await server.status()
    assert.equal(rules.inForce, rules.onDisk)
    assert.deepEqual(rules.switched, report)
    assert.match(await b.said(/were switched/), /the rules were switched: no operator holds anything/)
  })

  it('reports which operators go on with their state', async () => {
    const streams = (more: string) => `import { by, changed, fixedEventWindow, index, rules, stable, tap } from 'ricci'
export default rules(index(), by('host', stable(5, 'state', tap('stable'))), ${more})
`
    const b = bench(streams(`fixedEventWindow(2, tap('window'))`))
    const server = b.server()
    const { http } = await server.start()
    await server.ready()
    b.writeRules(streams(`changed('state', tap('changed'))`))
    const { report } = await server.reload()
    assert.deepEqual(
      { kept: report?.kept, fresh: report?.fresh, dropped: report?.dropped },
      { kept: ['by[1]', 'by[1] > stable[0]'], fresh: ['changed[2]'], dropped: ['fixedEventWindow[2]'] },
    )
    const status = (await (await fetch(`http://${http}/api/v1/status`)).json()) as { rules: { switched: object } }
    assert.deepEqual(status.rules.switched, report)
  })

  it('compares the settings with those in force, also of a log that it finds', async () => {
    const b = bench()
    const first = b.server()
    await first.start()
    await first.ready()
    await first.stop()
    const config = b.config()
    const engine = { ...config.engine, graceMs: 20_000 }
    const second = b.server({ config: { ...config, engine } })
    await second.start()
    await second.ready()
    const { rules } = await second.status()
    assert.equal(rules.inForce, rules.onDisk)
    assert.deepEqual(rules.differs, ['graceMs'], 'a start switches nothing')
    assert.match(JSON.stringify(second.readiness().degraded), /not those in force: graceMs; reload to switch/)
    assert.equal((await second.reload()).switched, true)
    assert.deepEqual((await second.status()).rules.differs, [])
    assert.equal((await second.reload()).switched, false)
  })

  it('pages for its own limits although no event of others has room any more', async () => {
    const b = bench(`import { by, incident, index, rules, where } from 'ricci'
export default rules(index(), by(['host', 'service'], where('service =~ "ricci %-full"', incident('limit', { to: 'console' }))))
`)
    const config = b.config()
    const server = b.server({
      config: { ...config, engine: { ...config.engine, indexRows: 2, forksPerBy: 2, symbols: 8 } },
    })
    const { tcp } = await server.start()
    await server.ready()
    const client = b.client(tcp)
    await client.send(Array.from({ length: 20 }, (_, i) => ({ host: `h${i % 4}`, service: `s${i}`, ttl: 3_600 })))
    for (const limit of ['symbols', 'forks', 'index'])
      await b.said(new RegExp(`limit.*ricci ${limit}-full|ricci ${limit}-full.*limit`))
    const found = await client.query('service =~ "ricci %-full" and host = "here"')
    assert.deepEqual(
      found.map(({ service }) => service).sort(),
      ['forks', 'index', 'symbols'].map((limit) => `ricci ${limit}-full`),
    )
  })

  it('counts a page as decided once: not again after a start', async () => {
    const b = bench(`import { incident, index, rules } from 'ricci'
export default rules(index(), incident('bad', { bad: 'state = "bad"', to: 'away' }))
`)
    // nobody listens there: its pages stay pending, most of them without an attempt
    const away = 'receivers: { away: { type: webhook, url: "http://127.0.0.1:1/" } }'
    const { receivers } = parseConfig(away, 'test.yaml')
    const config = { ...b.config(), receivers }
    const decided = async (http: string | undefined): Promise<number> => {
      const text = await (await fetch(`http://${http}/metrics`)).text()
      return Number(/^ricci_pages_decided_total\{action="trigger"\} (\d+)$/m.exec(text)?.[1] ?? 0)
    }
    const bad = (name: string) => ['a', 'b', 'c', 'd'].map((host) => ({ host: `${name}-${host}`, state: 'bad' }))
    const first = b.server({ config })
    const { tcp, http } = await first.start()
    await first.ready()
    await b.client(tcp).send(bad('before'))
    await b.client(tcp).query('true')
    assert.equal(await decided(http), 4)
    await first.stop()
    const second = b.server({ config })
    const again = await second.start()
    await second.ready()
    await b.client(again.tcp).send(bad('after'))
    await b.client(again.tcp).query('true')
    assert.equal(await decided(again.http), 4, 'those of the second run')
    const { pages } = (await (await fetch(`http://${again.http}/api/v1/incidents`)).json()) as { pages: unknown[] }
    assert.equal(pages.length, 8)
  })

  it('tells each metric in the registry', async () => {
    const b = bench(`import { incident, index, rules } from 'ricci'
export default rules(index(), incident('bad', { bad: 'state = "bad"', to: 'console' }))
`)
    const server = b.server()
    const { tcp, http } = await server.start()
    await server.ready()
    // being ready to take events in comes before owning; a page that was sent shows that it owns
    await b.client(tcp).send([{ host: 'a', service: 's', state: 'bad' }])
    await b.said(/^PAGE/)
    const text = await (await fetch(`http://${http}/metrics`)).text()
    assert.match(text, /^ricci_replica_owning 1$/m)
    assert.match(text, /^ricci_engine_applied_offset \d+$/m)
  })
})
