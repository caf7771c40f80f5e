import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { loadConfig } from '../config/config.ts'
import { Bench, plainRules } from '../server/testing.ts'
import { eventTable } from './events.ts'
import { table } from './output.ts'
import { runProgram } from './program.ts'

const benches: Bench[] = []
afterEach(async () => {
  for (const each of benches.splice(0)) await each.close()
})

/** A command being run in this process. */
class Run {
  out = ''
  err = ''
  readonly signals = new EventEmitter()
  readonly exit: Promise<number>
  private readonly told = new Set<() => void>()

  constructor(...words: string[]) {
    this.exit = runProgram(words, {
      write: (text) => this.note(() => (this.out += text)),
      print: async (text) => this.note(() => (this.out += text)),
      complain: (text) => this.note(() => (this.err += text)),
      env: {},
      interactive: false,
      signals: this.signals,
    })
  }

  /** Resolves with the first match in standard output, now or later. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.out)
      if (found !== null) return found
      await new Promise<void>((resolve) => this.told.add(resolve))
    }
  }

  /** The same of what it complained of. */
  async complained(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.err)) await new Promise<void>((resolve) => this.told.add(resolve))
  }

  private note(add: () => void): void {
    add()
    for (const tell of this.told) tell()
    this.told.clear()
  }
}

async function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const running = new Run(...words)
  const code = await running.exit
  return { code, out: running.out, err: running.err }
}

async function serving(rules?: string): Promise<{ server: string; url: string; bench: Bench }> {
  const bench = new Bench(rules)
  benches.push(bench)
  const server = bench.server()
  const { tcp, http } = await server.start()
  await server.ready()
  return { server: tcp!, url: `http://${http}`, bench }
}

describe('Commands without a server', () => {
  const cases: [words: string[], code: number, err: RegExp][] = [
    [[], 2, /Usage: ricci/],
    [['serv'], 2, /unknown command 'serv'/],
    [['query'], 2, /missing required argument 'query'/],
    [['query', 'true', '--limit', '0'], 2, /"0" is no count/],
    [['serve', '--log-format', 'xml'], 2, /argument 'xml' is invalid.*json, people/],
    [['query', 'true', '--url', 'nonsense'], 2, /"nonsense" is not a URL/],
    [
      ['query', 'true', '--url', 'http://127.0.0.1:1'],
      1,
      /no answer from http:\/\/127\.0\.0\.1:1: is a server running there\?/,
    ],
    [['send', '--server', 'x'], 2, /"x" is no address/],
    [['send', '--metric', 'many'], 2, /"many" is no number; --metric takes one/],
    [['send', '--metric', '1e400'], 2, /"1e400" is beyond what a number can hold/],
    [['send', '--ttl', '-5'], 2, /--ttl takes seconds from 0 on, not -5/],
    [['send', '--attribute', '=x'], 2, /"=x" is no attribute; write name=value/],
    [['agent', '--interval', '5'], 2, /"5" is no interval/],
    [['agent', '--server', 'x:1', 'check', '-o', 'xml'], 2, /argument 'xml' is invalid.*table, json/],
    [['agent', '--server', 'check'], 2, /"check" is no server/],
    [['agent', '--scrape', 'localhost'], 2, /"localhost" is no URL of a target to scrape/],
    [['agent', '--server', ','], 2, /no server was named/],
    [['agent', '--server', 'AMQPS://agent:secret@broker/ricci'], 2, /"…@broker\/ricci" is no server/],
    [
      ['agent', '--server', 'x:1', '--listen', '127.0.0.1:0', '--http', 'none', '--data', '/proc/none'],
      1,
      /\/proc\/none lies where no directory can be made/,
    ],
    [['dev', '--port', '70000'], 2, /"70000" is no port/],
    [['dev', '--data', '/proc/none', '--port', '0', '--http-port', '0'], 78, /\/proc\/none cannot be made \(ENOENT\)/],
    [['check', '/nowhere/ricci.yaml'], 78, /cannot be read/],
    [['serve', '--config', '/nowhere/ricci.yaml'], 78, /cannot be read/],
  ]
  for (const [words, code, err] of cases) {
    it(`ricci ${words.join(' ')} exits with ${code}`, async () => {
      const result = await run(...words)
      assert.match(result.err, err)
      assert.equal(result.code, code)
      assert.doesNotMatch(result.err, / {4}at /, 'no stack trace')
    })
  }

  it('ricci send says which limit an event is beyond, before it sends', async () => {
    const { code, err } = await run('send', '--server', '127.0.0.1:1', '-S', 'x'.repeat(8_193))
    assert.equal(code, 2)
    assert.match(err, /^ricci: .*8193 bytes.* 8192/)
  })

  it('ricci version says which it is', async () => {
    const { ricci } = JSON.parse((await run('version', '-o', 'json')).out) as { ricci: string }
    assert.match(ricci, /^\d+\.\d+\.\d+$/)
    assert.match((await run('version')).out, /^ricci \d+\.\d+\.\d+ \(Node /)
    assert.equal((await run('--help')).code, 0)
  })

  it('ricci check shows a mistake at its line, and changes nothing', async () => {
    const bench = new Bench()
    benches.push(bench)
    const file = join(bench.folder, 'ricci.yaml')
    writeFileSync(file, 'rules: rules\nrecievers: {}\n')
    const wrong = await run('check', file)
    assert.equal(wrong.code, 78)
    assert.match(wrong.err, /ricci\.yaml:2:1: .*did you mean "receivers"/)
    writeFileSync(file, 'rules: rules\n')
    const right = await run('check', file)
    assert.equal(right.code, 0, right.err)
    assert.match(right.out, /rules: ok/)
  })
})

describe('A table of events', () => {
  it('shows a time that no calendar has as the number it is', () => {
    const table = eventTable([{ time: 9_223_372_036_854_775_807 }, { time: 1_795_262_400.25 }, {}])
    assert.match(table, /^ +9223372036854776000$/m)
    assert.match(table, /^ +2026-11-21 12:00:00$/m)
  })
})

describe('A table', () => {
  it('of a whole fleet is there at once', () => {
    // 150,000 were more than a call could pass on, and 20,000 took minutes
    const rows = Array.from({ length: 150_000 }, (_, i) => [`host-${i}`, 'ok'])
    const lines = table(['HOST', 'STATE'], rows).split('\n')
    assert.equal(lines.length, rows.length + 2)
    assert.deepEqual([lines[0], lines[1], lines[150_000]], ['HOST         STATE', 'host-0       ok', 'host-149999  ok'])
  })

  it('is aligned where letters take two columns of a terminal, and ends no line in spaces', () => {
    assert.equal(
      table(
        ['A', 'B', 'C'],
        [
          ['日本', 'x', ''],
          ['e\u0301', '🔥', 'z'],
          ['a\u001b[31m', '', ''],
        ],
      ),
      'A       B   C\n日本    x\né       🔥  z\na [31m\n'.replace('é', 'e\u0301'),
    )
  })
})

describe('Commands at something that is no server, or ends', () => {
  const pages: Readonly<Record<string, (response: ServerResponse) => void>> = {
    'a page': (response) => void response.end('<html>'),
    'a page that is not there': (response) => void response.writeHead(404).end('<html>'),
    'an answer that breaks off': (response) =>
      void response.writeHead(200, { 'content-length': 9 }).write('{"', () => response.destroy()),
  }
  for (const [what, answer] of Object.entries(pages)) {
    for (const command of ['query', 'watch', 'status', 'incidents']) {
      it(`ricci ${command} says so of ${what}`, async (t) => {
        const server = createServer((_request, response) => answer(response))
        t.after(() => server.close())
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
        const { code, err } = await run(command, ...(/^[qw]/.test(command) ? ['true'] : []), '--url', url)
        assert.equal(code, 1)
        assert.match(err, /^ricci: (what answers at .* is no Ricci server|.* is .*still running\?)/)
        assert.doesNotMatch(err, /\n {4}at |<html>/)
      })
    }
  }
})

describe('Commands at a server', () => {
  it('sends, finds again, tells how the server is', async () => {
    const { server, url } = await serving()
    const words = [
      '-H',
      'a',
      '-S',
      'disk',
      '-s',
      'ok',
      '-m',
      '9007199254740993',
      '-d',
      'x\u001b[31m',
      '-T',
      '60',
      '-t',
      'one',
      '-t',
      'two',
    ]
    const sent = await run('send', '--server', server, ...words, '-a', 'rack=7')
    assert.deepEqual([sent.code, sent.err], [0, ''])
    const { time, ...found } = (
      JSON.parse((await run('query', 'service = "disk"', '--url', url, '-o', 'json')).out) as object[]
    )[0] as {
      time: number
    }
    assert.ok(time > 1e9)
    assert.deepEqual(found, {
      host: 'a',
      service: 'disk',
      state: 'ok',
      description: 'x\u001b[31m',
      metric: '9007199254740993',
      ttl: 60,
      tags: ['one', 'two'],
      attributes: { rack: '7' },
    })
    const shown = await run('query', 'true', '--url', url)
    assert.match(shown.out, /^HOST +SERVICE +STATE/)
    assert.doesNotMatch(shown.out, /\u001b/, 'no control character of an event reaches the terminal')
    assert.match((await run('query', 'false', '--url', url)).err, /No event/)
    assert.match((await run('status', '--url', url)).out, /^paging: yes, as here sees it/)
    assert.match((await run('status', '--here', '--url', url)).out, /^replica +owning, epoch 1$/m)
    assert.match((await run('incidents', '--url', url)).err, /Nothing is wrong/)
  })

  it('prints all incidents, however many answers they come in', async () => {
    const { server, url, bench } = await serving(`import { incident, index, rules } from 'ricci'
export default rules(index(), incident('bad', { bad: 'state = "bad"', to: 'console' }))
`)
    const client = bench.client(server)
    const hosts = Array.from({ length: 2_500 }, (_, i) => `host-${i}`)
    await client.send(hosts.map((host) => ({ host, service: 's', state: 'bad', ttl: 600 })))
    await client.query('false')
    const told = await run('incidents', '-o', 'json', '--url', url)
    const { incidents, pages } = JSON.parse(told.out) as {
      incidents: { open: { host: string }[]; closed: [] }
      pages: []
    }
    assert.deepEqual(
      incidents.open.map(({ host }) => host),
      hosts,
    )
    assert.deepEqual([incidents.closed.length, Array.isArray(pages)], [0, true])
    assert.match((await run('incidents', '--all', '--url', url)).out, /^0\.\d+\.\d+ +bad +host-2499 +s/m)
    const few = (await run('incidents', '--url', url)).out
    assert.match(few, /^INCIDENT +OPEN +LOOKED AFTER +OLDEST\nbad +2,500 +0 /)
    assert.match(few, /^and 2,460 more; --all prints them/m)
    assert.ok(few.split('\n').length < 100)
    await acts(url)
    const wrong = await fetch(`${url}/api/v1/incidents?cursor=nonsense`)
    assert.deepEqual([wrong.status, ((await wrong.json()) as { code: string }).code], [400, 'CURSOR_INVALID'])
  })

  async function acts(url: string): Promise<void> {
    const of = async (...words: string[]) => run('incidents', ...words, '--url', url)
    const [id] = /^0\.\d+\.\d+/m.exec((await of('host-7', '--rule', 'bad')).out)!
    const done = await of('ack', id, '--for', '2h', '--why', 'mine')
    assert.equal(done.code, 0, done.err)
    assert.match(done.out, /acknowledged/)
    assert.match((await of('show', id)).out, /^acknowledged +by local.* until .*: mine$/m)
    const shown = await of('resolve', '--host', 'host-9', '--why', 'so')
    assert.equal(shown.code, 2)
    assert.match(shown.err, /host-9[^]*1 open incidents are like that; with --yes, resolve is done to all of them/)
    assert.match((await of('resolve', '--host', 'host-9', '--why', 'so', '--yes')).out, /resolved/)
    assert.match((await of('--closed')).out, /^0\..* host-9 +s +critical .* closed/m)
    for (const [words, sentence] of [
      [['ack'], /name an incident, or pick some/],
      [['ack', id, '--rule', 'bad'], /not both/],
      [['ack', id, '--for', 'long'], /"long" is no length of time/],
      [['ack', id, '--until', '1999-01-01T00:00'], /has passed/],
      [['ack', id, '--until', 'noon'], /is no time/],
      [['snooze', id, '--why', 'x'], /say how long/],
      [['snooze', id, '--for', '1h'], /say why, by --why/],
      [['resolve', id], /say why, by --why/],
    ] as const) {
      const wrong = await of(...words)
      assert.deepEqual([wrong.code, sentence.test(wrong.err)], [2, true], wrong.err)
    }
    for (const [words, sentence] of [
      [['ack', '9.9.9'], /no incident goes by 9\.9\.9/],
      [['show', '9.9.9'], /no incident goes by 9\.9\.9/],
      [['redrive', id], /there is nothing to send again/],
      [['ack', '--host', 'nobody', '--yes'], /no open incident is like that/],
    ] as const) {
      const wrong = await of(...words)
      assert.deepEqual([wrong.code, sentence.test(wrong.err)], [1, true], wrong.err)
    }
  }

  it('prints an answer in parts, and how to go on', async () => {
    const { server, url, bench } = await serving()
    const hosts = ['a', 'b', 'c', 'd', 'e']
    await bench.client(server).send(hosts.map((host) => ({ host, service: 's', ttl: 600 })))
    const told: string[] = []
    let cursor: string[] = []
    for (let left = 5; left > 0; left -= 2) {
      const { out, err } = await run('query', 'true', '--url', url, '-o', 'json', '-n', '2', ...cursor)
      told.push(...(JSON.parse(out) as { host: string }[]).map(({ host }) => host))
      const [, next] = /^There are more; go on with --cursor (\S+)$/m.exec(err) ?? []
      assert.equal(next === undefined, left < 2, err)
      cursor = ['--cursor', next]
    }
    assert.deepEqual(told, hosts)
  })

  it('tells of hosts whose clocks are away, as their marks say', async () => {
    const { server, url } = await serving()
    const client = benches.at(-1)!.client(server)
    const mark = { producer: 'p', incarnation: 1, sequence: 1, sentAtMs: Date.now() + 3_600_000 }
    await client.sendMsg({ events: [{ host: 'a', service: 's' }], mark })
    await run('query', 'true', '--url', url)
    assert.match((await run('status', '--url', url)).out, /^clocks +a ahead by /m)
    const metrics = await (await fetch(`${url}/metrics`)).text()
    const [, seconds] = /^ricci_host_clock_skew_seconds ([\d.]+)$/m.exec(metrics) ?? []
    assert.ok(Number(seconds) > 3_000, seconds)
  })

  it('shows where a query is wrong', async () => {
    const { url } = await serving()
    const wrong = await run('query', 'service = ', '--url', url)
    assert.equal(wrong.code, 2)
    assert.match(wrong.err, /\n +\| +\^\n/)
  })

  it('watches until it is stopped', async () => {
    const { server, url } = await serving()
    const watch = new Run('watch', 'metric > 1', '--url', url, '-o', 'json')
    // the watch is in place once something arrives: send until it does
    let arrived = false
    void watch.said(/\n/).then(() => (arrived = true))
    for (let i = 0; !arrived; i++) await run('send', '--server', server, '-H', 'a', '-S', `s${i}`, '-m', '2')
    assert.match(JSON.parse(watch.out.split('\n')[0]).service, /^s\d+$/)
    watch.signals.emit('SIGINT')
    assert.equal(await watch.exit, 0)
  })
})

describe('ricci dev', () => {
  it('watches this machine until Ctrl-C, which may arrive twice', async () => {
    const bench = new Bench()
    benches.push(bench)
    const data = join(bench.folder, 'data')
    const dev = new Run(
      'dev',
      '--rules',
      join(bench.folder, 'rules'),
      '--data',
      data,
      '--port',
      '0',
      '--http-port',
      '0',
    )
    const [, url] = await dev.said(/(http:\/\/\S+)/)
    await dev.said(/Ctrl-C/)
    while ((await run('query', 'service = "uptime"', '--url', url, '-o', 'json')).out === '[]\n');
    const second = await run(
      'dev',
      '--rules',
      join(bench.folder, 'rules'),
      '--data',
      data,
      '--port',
      '0',
      '--http-port',
      '0',
    )
    assert.equal(second.code, 1)
    assert.match(second.err, /is in use by another ricci/)
    // saved rules take effect, once they are right
    bench.writeRules(`import { index, rules, tap } from 'ricci'\nexport default rules(index(), tap(5))\n`)
    await dev.complained(/were not switched, the old ones run on:\n.*index\.ts:2:35: Argument of type 'number'/)
    bench.writeRules(
      `import { changed, index, rules, tap } from 'ricci'\nexport default rules(index(), changed('state', tap('x')))\n`,
    )
    await dev.said(/The rules were switched: 1 operator begins anew, nothing was held before\./)
    dev.err = ''
    dev.signals.emit('SIGINT')
    dev.signals.emit('SIGINT')
    assert.equal(await dev.exit, 0)
    assert.equal(dev.err, '')
    assert.equal(dev.signals.listenerCount('SIGINT'), 0)
  })
})

describe('ricci dev, begun with rules that are wrong', () => {
  it('waits for those that are right', async () => {
    const bench = new Bench('export default rules(')
    benches.push(bench)
    const folder = (name: string): string => join(bench.folder, name)
    const words = ['--rules', folder('rules'), '--data', folder('data'), '--port', '0', '--http-port', '0']
    const dev = new Run('dev', ...words)
    await dev.complained(/index\.ts:1:22: Unexpected end of file\n.*\n.*\nWaiting for rules that are right/)
    bench.writeRules(plainRules)
    await dev.said(/Ctrl-C/)
    dev.signals.emit('SIGINT')
    assert.equal(await dev.exit, 0)
  })
})

describe('ricci init', () => {
  it('writes a start that is right as it is, and over nothing', async () => {
    const bench = new Bench()
    benches.push(bench)
    const folder = join(bench.folder, 'start')
    const begun = await run('init', folder)
    assert.equal(begun.code, 0)
    assert.match(begun.out, /^Written into .*: ricci\.yaml, rules\/index\.ts, .*\n\nNext:\n/)
    const checked = await run('check', folder)
    assert.deepEqual([checked.code, checked.err], [0, ''])
    assert.match(
      checked.out,
      /ricci\.yaml: ok\n.*: ok .*\n {2}types: right\n {2}tests: 2 passed\n.*reached 1 of 1 functions\n$/,
    )
    // as an editor, or any compiler, sees it
    const compiler = join(process.cwd(), 'node_modules/typescript/bin/tsc')
    const compiled = spawnSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' })
    assert.deepEqual([compiled.status, compiled.stdout], [0, ''])
    const config = loadConfig(join(folder, 'ricci.yaml'))
    const any = { host: '127.0.0.1', port: 0 }
    const server = bench.server({ config: { ...config, listen: { tcp: any, udp: any, http: any } } })
    const { http } = await server.start()
    await server.ready()
    const status = await run('rules', 'status', '--url', `http://${http}`)
    assert.match(status.out, / the same \(.*start\/rules\)\n/)
    const same = await run('rules', 'reload', '--url', `http://${http}`)
    assert.equal(same.out, 'Nothing to switch: rules and settings are those in force.\n')
    const again = await run('init', folder)
    assert.equal(again.code, 1)
    assert.match(again.err, /ricci\.yaml, .* are in .*start already, and nothing was written/)
  })
})

describe('ricci test', () => {
  it('runs what stands before a switch: exit code 0, 1 for a test that failed, 78 for rules that are wrong', async () => {
    const bench = new Bench()
    benches.push(bench)
    const folder = join(bench.folder, 'rules')
    const test = (pages: string): void =>
      writeFileSync(
        join(folder, 'index.test.ts'),
        `import { expect, test } from 'ricci/test'\ntest('nobody is paged', (run) => expect(run.pages, ${pages}))\n`,
      )
    test('[]')
    const good = await run('test', folder)
    assert.deepEqual([good.code, good.err], [0, ''])
    assert.match(good.out, /: ok \([0-9a-f]{12}, \d+ B\)\n {2}types: right\n {2}tests: 1 passed\n$/)
    test(`[{ rule: 'x' }]`)
    const failing = await run('test', folder)
    assert.equal(failing.code, 1)
    assert.match(failing.err, /^ricci: 1 of the 1 tests of the rules failed:\n"nobody is paged": index\.test\.ts:2:/)
    bench.writeRules(`import { rules, where } from 'ricci'\nexport default rules(where((e) => e.nothing))\n`)
    const wrong = await run('test', folder)
    assert.equal(wrong.code, 78)
    assert.match(wrong.err, /index\.ts:2:37: Property 'nothing' does not exist/)
  })
})
