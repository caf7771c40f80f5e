// docs/guides/from-riemann.md, followed to the letter: its configuration, commands and clients' own programs, against the built server.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { builtProgram } from '../bench/built.ts'
import { Daemon } from '../faults/daemon.ts'
import { debianTree, npmClients, type DebianTree } from '../house/tools.ts'
import { freePorts } from '../servers/ports.ts'
import { without } from '../servers/program.ts'
import { Collectd } from './collectd.ts'
import { Guide } from './guide.ts'
import { Site } from './site.ts'
import { SyslogNg } from './syslog-ng.ts'

const guide = new Guide()
let site: Site

const trees = {
  cClient: debianTree('riemann-c-client'),
  ruby: debianTree('ruby-riemann-client'),
  collectd: debianTree('collectd-core'),
  syslogNg: debianTree('syslog-ng-mod-riemann'),
  jq: debianTree('jq'),
}
const programs = [
  ['cClient', 'usr/bin/riemann-client'],
  ['jq', 'usr/bin/jq'],
] as const
const npm = npmClients()
type Name = keyof typeof trees
const names = Object.keys(trees) as Name[]

/** Why a test of these is skipped, or false. */
function lacking(...names: readonly Name[]): string | false {
  for (const name of names) {
    const tree = trees[name]
    if ('missing' in tree) return tree.missing
  }
  return false
}

function tree(name: Name): DebianTree {
  const found = trees[name]
  assert.ok(!('missing' in found))
  return found
}

const began = Date.now() / 1000

/** Events without their times, which are of now: clients cut them to seconds. */
function timeless(events: readonly Event[]): Omit<Event, 'time'>[] {
  return events.map(({ time, ...rest }) => {
    assert.ok(time !== undefined && time > began - 1 && time < Date.now() / 1000 + 1, `a time of ${time}`)
    return rest
  })
}

/** A block of the guide, for this server. */
const configuration = (heading: string, language: string, having?: string): string =>
  site.here(guide.block(heading, language, having))

describe('from Riemann, by the guide', { skip: without('openssl'), timeout: 180_000 }, () => {
  before(async () => {
    site = await Site.start(guide)
    for (const [name, file] of programs) if (!lacking(name)) site.install(tree(name), file)
  })
  after(() => site?.close())

  it('riemann-client, over TCP, UDP and TLS', { skip: lacking('cClient') }, async () => {
    const heading = 'riemann-client'
    const found = await site.run(guide.block(heading, 'sh', '--udp'))
    assert.equal((JSON.parse(found) as { service: string }[])[0].service, 'backup')
    await site.run(guide.block(heading, 'sh', '--tls'))
    const event = { host: 'web-1', attributes: { 'x-client': 'riemann-c-client' } }
    assert.deepEqual(timeless(await site.found('host = "web-1"', 3)), [
      {
        ...event,
        service: 'backup',
        state: 'ok',
        metric: 7,
        ttl: 3600,
        tags: ['nightly'],
        attributes: { rack: '7', ...event.attributes },
      },
      { ...event, service: 'load', metric: 0.25 },
      { ...event, service: 'sealed', state: 'ok' },
    ])
  })

  it('Ruby', { skip: lacking('ruby') }, async () => {
    const { root, libraries } = tree('ruby')
    const folders = [
      join(root, 'usr/lib/ruby/vendor_ruby'),
      join(root, 'usr/lib/ruby/3.1.0'),
      ...libraries.map((one) => join(one, 'ruby/3.1.0')),
    ]
    site.install(tree('ruby'), 'usr/bin/ruby3.1', { RUBYLIB: folders.join(':'), RUBYOPT: '--disable-gems' })
    const heading = 'Ruby, and riemann-tools'
    const said = await site.run(`ruby3.1 -e '${guide.block(heading, 'ruby').replaceAll("'", `'"'"'`)}'`)
    assert.equal(said.split('\n')[0], 'orders')
    const event = { host: 'shop-1' }
    assert.deepEqual(timeless(await site.found('host = "shop-1"', 2)), [
      { ...event, service: 'basket', metric: 19.5 },
      { ...event, service: 'orders', metric: 12, state: 'ok', tags: ['shop'], ttl: 60 },
    ])
  })

  it(
    'collectd, over TCP; what it reads while the server is away is lost',
    { skip: lacking('collectd', 'cClient') },
    async () => {
      const block = configuration('collectd', 'apache', 'Protocol TCP')
      const collectd = await Collectd.start(tree('collectd'), tree('cClient').libraries, block)
      try {
        const put = (plugin: string): Promise<void> =>
          collectd.put(`PUTVAL web-2/${plugin}/load interval=60 N:0.5:0.25:1`)
        await put('before')
        await collectd.put(
          `PUTNOTIF severity=failure time=${Math.floor(began)} host=web-2 plugin=df type=percent_bytes message="root is full"`,
        )
        await collectd.flushed(site.found('host = "web-2"', 4))
        await site.stop()
        await put('away')
        await collectd.flushed(collectd.process.logged(/riemann_client_send failed|Unable to connect/))
        await site.again()
        await put('since')
        const common = { host: 'web-2', tags: ['collectd'] }
        const values = (plugin: string) =>
          [1, 0.25, 0.5].map((metric, at) => {
            const name = ['longterm', 'midterm', 'shortterm'][at]
            const attributes = { plugin, type: 'load', ds_name: name, ds_type: 'gauge', ds_index: String(2 - at) }
            const whole = Number.isInteger(metric) ? { metricType: 'double' } : {}
            return { ...common, service: `${plugin}/load/${name}`, metric, ...whole, ttl: 120, attributes }
          })
        assert.deepEqual(timeless(await collectd.flushed(site.found('host = "web-2"', 7))), [
          ...values('before'),
          {
            ...common,
            service: 'df/percent_bytes',
            state: 'critical',
            description: 'root is full',
            tags: ['notification', 'collectd'],
            attributes: { plugin: 'df', type: 'percent_bytes' },
          },
          ...values('since'),
        ])
      } finally {
        await collectd.end()
      }
    },
  )

  for (const [transport, host] of [
    ['TLS', 'web-5'],
    ['UDP', 'web-6'],
  ])
    it(`collectd and syslog-ng, over ${transport}`, { skip: lacking('collectd', 'cClient', 'syslogNg') }, async () => {
      const [ofCollectd, ofSyslogNg] = [`Protocol ${transport}`, `type("${transport.toLowerCase()}")`]
      // where the guide has no block of its own, that over TCP
      const like = transport === 'UDP' ? ['Protocol TCP', 'type("tcp")'] : [ofCollectd, ofSyslogNg]
      const settings = configuration('collectd', 'apache', like[0]).replace(like[0], ofCollectd)
      const collectd = await Collectd.start(tree('collectd'), tree('cClient').libraries, settings)
      const destination = configuration('syslog-ng', '', like[1]).replace(like[1], ofSyslogNg)
      const syslogNg = await SyslogNg.start(tree('syslogNg'), destination)
      try {
        await collectd.put(`PUTVAL ${host}/df-root/percent_bytes-used interval=60 N:81.5`)
        syslogNg.send('<165>', host, 'cron[7]: it ran')
        const found = timeless(await collectd.flushed(site.found(`host = "${host}"`, 2)))
        const source = { plugin: 'df', plugin_instance: 'root', type: 'percent_bytes', type_instance: 'used' }
        assert.deepEqual(found, [
          {
            ...{ host, service: 'cron', state: 'notice', description: 'it ran', metric: 1, ttl: 300 },
            ...{ tags: ['syslog'], attributes: { facility: 'local4' } },
          },
          {
            ...{ host, service: 'df-root/percent_bytes-used', metric: 81.5, ttl: 120, tags: ['collectd'] },
            attributes: { ...source, ds_index: '0', ds_name: 'value', ds_type: 'gauge' },
          },
        ])
      } finally {
        await collectd.end()
        await syslogNg.end()
      }
    })

  it(
    'syslog-ng, over TCP; what it takes while the server is away arrives once that is back',
    { skip: lacking('syslogNg') },
    async () => {
      const syslogNg = await SyslogNg.start(tree('syslogNg'), configuration('syslog-ng', '', 'type("tcp")'))
      try {
        syslogNg.send('<165>', 'web-3', 'before[7]: it ran')
        await site.found('host = "web-3"', 1)
        await site.stop()
        for (const program of ['away-1', 'away-2', 'away-3']) syslogNg.send('<162>', 'web-3', `${program}: it failed`)
        await site.again()
        const common = { host: 'web-3', tags: ['syslog'], metric: 1, ttl: 300, attributes: { facility: 'local4' } }
        const failed = { ...common, state: 'crit', description: 'it failed' }
        assert.deepEqual(timeless(await site.found('host = "web-3"', 4)), [
          ...['away-1', 'away-2', 'away-3'].map((service) => ({ ...failed, service })),
          { ...common, service: 'before', state: 'notice', description: 'it ran' },
        ])
      } finally {
        await syslogNg.end()
      }
    },
  )

  it(
    'collectd, by the agent, loses nothing while the server is away',
    { skip: lacking('collectd', 'cClient') },
    async () => {
      const [tcp, http] = await freePorts(2)
      const [, ...words] = configuration('Or to the agent beside them', 'sh').trim().split(' ')
      const places = [
        '--listen',
        `127.0.0.1:${tcp}`,
        '--http',
        `127.0.0.1:${http}`,
        '--data',
        join(site.folder, 'agent'),
      ]
      const agent = new Daemon(builtProgram('ricci'), [...words, ...places, '--log-format', 'json'])
      /** Resolves once the agent has acknowledged so many events. */
      const taken = async (count: number): Promise<void> => {
        const deadline = performance.now() + 20_000
        for (let found = 0; found < count;) {
          assert.ok(performance.now() < deadline, `${found} of ${count} events came to the agent`)
          const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text()
          found = Number(/^ricci_intake_events_total\{transport="tcp"\} (\d+)$/m.exec(text)?.[1])
        }
      }
      try {
        await agent.logged(/takes what programs of this machine send/)
        const own = configuration('collectd', 'apache', 'Protocol TCP').replace(`${site.port('5555')}`, `${tcp}`)
        const collectd = await Collectd.start(tree('collectd'), tree('cClient').libraries, own)
        try {
          const put = (plugin: string): Promise<void> => collectd.put(`PUTVAL web-7/${plugin}/uptime interval=60 N:1.5`)
          await put('before')
          await collectd.flushed(site.found('host = "web-7"', 1))
          await site.stop()
          await put('away')
          await collectd.flushed(taken(2))
          await site.again()
          const found = await site.found('host = "web-7"', 2)
          assert.deepEqual(
            found.map(({ service, metric }) => [service, metric]),
            ['away', 'before'].map((plugin) => [`${plugin}/uptime`, 1.5]),
          )
        } finally {
          await collectd.end()
        }
      } finally {
        await agent.stop()
      }
    },
  )

  it('senders of Graphite and OpenTSDB lines', { skip: lacking('collectd') }, async () => {
    const own = configuration('Graphite', 'apache') + configuration('OpenTSDB', 'apache')
    const collectd = await Collectd.start(tree('collectd'), [], own)
    try {
      await collectd.put('PUTVAL web-4/df-root/percent_bytes-used interval=10 N:81.5')
      await site.run(guide.block('Graphite', 'sh'))
      const written = site.found('service =~ "%percent_bytes%used%" and metric = 81.5 and host = nil', 2)
      const metrics = await collectd.flushed(written)
      assert.deepEqual(timeless(metrics), [
        { service: 'collectd.web-4.df-root.percent_bytes-used', metric: 81.5 },
        {
          service: 'df.root.percent_bytes.used fqdn=web-4',
          description: 'df.root.percent_bytes.used',
          metric: 81.5,
          attributes: { fqdn: 'web-4' },
        },
      ])
      const sales = await site.found('service = "sales.orders"', 1)
      const attributes = { country: 'fr' }
      assert.deepEqual(timeless(sales), [
        { host: 'shop-1', service: 'sales.orders', metric: 12, metricType: 'double', attributes },
      ])
    } finally {
      await collectd.end()
    }
  })

  describe('npm clients', { skip: 'missing' in npm ? npm.missing : false }, () => {
    const run = async (name: string): Promise<string> => {
      assert.ok('folder' in npm)
      const file = join(site.folder, `${name}.cjs`)
      writeFileSync(file, configuration(`npm: ${name}`, 'js'))
      return site.run(`NODE_PATH='${npm.folder}/node_modules' node '${file}'`)
    }

    it('riemann', async () => {
      assert.equal(await run('riemann'), 'true 12.5\n')
      assert.deepEqual(timeless(await site.found('host = "shop-2"', 2)), [
        { host: 'shop-2', service: 'basket', metric: 3, metricType: 'double' },
        { host: 'shop-2', service: 'orders', metric: 12.5, ttl: 60 },
      ])
    })

    it('riemannjs', async () => {
      assert.equal(await run('riemannjs'), 'true\n')
      const event = { host: 'shop-3', service: 'orders', metric: 12.5, ttl: 60 }
      assert.deepEqual(timeless(await site.found('host = "shop-3"', 1)), [event])
    })
  })

  it('events over HTTP', async () => {
    assert.equal(await site.run(guide.block('Anything that speaks HTTP', 'sh')), '{}\n')
    assert.deepEqual(timeless(await site.found('host = "shop-4"', 1)), [
      { host: 'shop-4', service: 'orders', metric: 12, state: 'ok', ttl: 60 },
    ])
  })

  it('what one index has and the other has not', { skip: lacking('cClient', 'jq') }, async () => {
    const old = await Site.start(guide)
    try {
      await old.client.send(['moved', 'forgotten'].map((service) => ({ host: 'db-1', service, ttl: 600 })))
      await site.client.send({ host: 'db-1', service: 'moved', ttl: 600 })
      const compared = guide.block('Check that nothing is lost', 'sh', 'comm')
      const between = compared.replaceAll('riemann.example 5555', `127.0.0.1 ${old.port('5555')}`)
      assert.equal(await site.run(between), 'db-1\tforgotten\n')
    } finally {
      await old.close()
    }
  })

  it('what was counted', async () => {
    const said = await site.run(guide.block('Check that nothing is lost', 'sh', 'curl'))
    assert.match(said, /^ricci_intake_events_total\{transport="tcp"\} [1-9]/m)
    assert.doesNotMatch(said, /malformed|dropped|failures|closed/)
  })

  it('a configuration and rules that take the place of riemann.config', async () => {
    assert.match(await site.run(guide.block('Start Ricci beside Riemann', 'sh', 'ricci check')), /: ok\n/)
    const heading = 'Translate the rules'
    site.write('ricci/rules/index.ts', guide.block(heading, 'ts', 'export default rules'))
    site.write('ricci/rules/index.test.ts', guide.block(heading, 'ts', 'ricci/test'))
    assert.match(await site.run(guide.block(heading, 'sh')), /tests: 2 passed/)
    site.write('ricci/ricci.yaml', guide.block('Start Ricci beside Riemann', 'yaml') + guide.block(heading, 'yaml'))
    assert.match(await site.run(guide.block('Start Ricci beside Riemann', 'sh', 'ricci check')), /: ok\n/)
  })

  it('no command of it is left out', { skip: lacking(...names) }, () => {
    assert.equal(
      guide.block('Start Ricci beside Riemann', 'sh', 'serve'),
      'ricci serve --config /etc/ricci/ricci.yaml\n',
    )
    // what is installed is tried with the packages, what a dashboard loads in a browser, and no Riemann is run
    const elsewhere = ['sh npm run -s package', 'json {', 'clojure (let [ricci', 'clojure (let [index']
    assert.deepEqual(
      guide.left.filter((block) => !elsewhere.some((one) => block.startsWith(one))),
      [],
    )
  })
})
