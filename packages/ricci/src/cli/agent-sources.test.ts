import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { Command } from 'commander'
import { httpServer, TestClock } from '../receivers/testing.ts'
import { Bench } from '../server/testing.ts'
import { agentSources, type AgentSources, type SourceWords, withSourceOptions } from './agent-sources.ts'
import { runProgram } from './program.ts'

const made: AgentSources[] = []
afterEach(async () => {
  for (const { sources } of made.splice(0)) await Promise.all(sources.map((source) => source.stop()))
})

function sourcesOf(words: SourceWords, env: Record<string, string> = {}): AgentSources {
  const all = agentSources(words, env, { clock: new TestClock(), onProblem: () => undefined })
  made.push(all)
  return all
}

const names = ({ sources }: AgentSources) => sources.map(({ name }) => name)

/** Those that are always there. */
const usual = ['units of systemd', 'the clock']

describe('what the agent measures besides', () => {
  test('flags may be repeated', () => {
    const command = withSourceOptions(new Command('agent'))
    command.parse(['--scrape', 'http://a/', '--scrape', 'http://b/ job=b', '--unit', 'x,y', '--command', 'a -- b'], {
      from: 'user',
    })
    assert.deepEqual(command.opts(), {
      scrape: ['http://a/', 'http://b/ job=b'],
      command: ['a -- b'],
      unit: ['x,y'],
    })
    assert.deepEqual(names(sourcesOf(command.opts())), [
      ...['scraping http://a/', 'scraping b', 'the command a'],
      ...usual,
    ])
  })

  test('variables stand for flags, in the order of their names; a flag stands in the place of all of its kind', () => {
    const env = {
      RICCI_SCRAPE_2: 'http://b/ job=b',
      RICCI_SCRAPE: 'http://a/',
      RICCI_SCRAPE_3: ' ',
      RICCI_SCRAPER: 'nonsense',
      RICCI_COMMAND_RAID: 'raid interval=5m -- check_raid -w 1',
    }
    assert.deepEqual(names(sourcesOf({}, env)), ['scraping http://a/', 'scraping b', 'the command raid', ...usual])
    assert.deepEqual(names(sourcesOf({ scrape: ['http://c/'] }, env)), [
      'scraping http://c/',
      'the command raid',
      ...usual,
    ])
    assert.deepEqual(names(sourcesOf({})), usual)
  })

  test('processes: those that are named are watched', async () => {
    const { surveys } = sourcesOf({ process: ['a, b', 'c'] })
    const machine = {
      read: () => Promise.reject(new Error('hidden')),
      fileSystem: () => Promise.reject(new Error('none')),
      patience: () => ({ over: Promise.resolve(), end: () => undefined }),
    }
    if (process.platform !== 'linux') return
    const measured = (await Promise.all(surveys.map((survey) => survey.measure(machine, 0)))).flat()
    const services = measured.map(({ service }) => service)
    for (const name of ['a', 'b', 'c']) assert.ok(services.includes(`process ${name}`), services.join())
  })

  test('a target’s settings reach it', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'ricci-sources-'))
    t.after(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'token'), 'from-file\n')
    const seen: unknown[] = []
    const url = await httpServer(t, (request, response) => {
      seen.push(request.headers.authorization, request.headers['x-prometheus-scrape-timeout-seconds'])
      response.end('a_x 1\na_y 2\nb_z 3\n')
    })
    const words = `${url} job=shop interval=30s timeout=2s keep=a_*,c drop=*_y token=file:${folder}/token`
    const events = await sourcesOf({ scrape: [words] }).sources[0].once()
    assert.deepEqual(
      events.map(({ service, ttl }) => [service, ttl]),
      [
        ['up job=shop', 90],
        ['a_x job=shop', 90],
      ],
    )
    const [bySecret] = sourcesOf(
      { scrape: [`${url} token=env:TOKEN series=2 bytes=1kB`] },
      { TOKEN: 'from-env' },
    ).sources
    assert.equal((await bySecret.once())[0].state, 'warning')
    assert.deepEqual(seen, ['Bearer from-file', '2', 'Bearer from-env', '10'])
    writeFileSync(join(folder, 'token'), 'two\nlines')
    const [told] = await sourcesOf({ scrape: [words] }).sources[0].once()
    assert.match(told.description!, /the token cannot be read: what is there is no token/)
  })

  test('a command is given where programs are, and no setting of the agent', async () => {
    const env = { PATH: process.env.PATH!, HOME: '/home/x', RICCI_TOKEN: 'hidden', TOKEN: 'hidden' }
    const [source] = sourcesOf({ command: [`a interval=2s -- echo "$HOME $RICCI_TOKEN$TOKEN$LANG"`] }, env).sources
    const [{ description, ttl }] = await source.once()
    assert.deepEqual([description, ttl], ['/home/x C.UTF-8', 10])
  })
})

describe('a wrong word ends with exit code 2 and what to do', () => {
  const cases: [kind: keyof SourceWords, words: string[], message: RegExp][] = [
    ['scrape', ['localhost:9100'], /"localhost:9100" is no URL of a target to scrape; write it like "http/],
    ['scrape', ['file:///etc/passwd'], /is no URL of a target/],
    ['scrape', ['http://me:secret@a/'], /a password in a URL is seen by everybody.*token=env:NAME/],
    ['scrape', ['http://a/ jobs=x'], /"jobs=x" is no setting of the target http:\/\/a\/; it takes job=… interval=…/],
    ['scrape', ['http://a/ job='], /"job=" is no setting/],
    [
      'scrape',
      ['http://a/ interval=5'],
      /"interval=5" of the target http:\/\/a\/ is no interval; write one from 1s to 1d/,
    ],
    ['scrape', ['http://a/ interval=5s timeout=6s'], /"timeout=6s" .* no time up to its interval of 5s/],
    ['scrape', ['http://a/ bytes=many'], /"bytes=many" is no size/],
    ['scrape', ['http://a/ series=0'], /"series=0" is no number of series/],
    ['scrape', ['http://a/ series=50001'], /no number of series up to 50000/],
    ['scrape', ['http://a/ bytes=1GB'], /no size up to 64MiB/],
    ['scrape', ['http://a/ token=abc'], /a token is not written out/],
    ['scrape', ['http://a/ token=env:NOPE'], /the environment variable NOPE, which holds a token, is not set/],
    ['scrape', ['https://a/ ca=/nowhere/ca.pem'], /certificates in \/nowhere\/ca.pem cannot be read \(ENOENT\)/],
    ['scrape', ['http://a/', 'http://b/'], /two targets to scrape have no job, and their series/],
    ['scrape', ['http://a/ job=x', 'http://b/', 'http://c/ job=x'], /have the job "x"/],
    [
      'scrape',
      Array.from({ length: 101 }, (_, i) => `http://a/ job=${i}`),
      /--scrape is given 101 times; one agent takes 100/,
    ],
    ['command', ['check_x'], /"check_x" is no command; write NAME -- LINE, like "/],
    ['command', ['a b -- c'], /is no command/],
    ['command', ['a -- '], /is no command/],
    ['command', ['a every=5s -- c'], /"every=5s" is no setting of the command a; it takes interval=… timeout=…/],
    ['command', ['a -- c', 'a interval=5s -- d'], /two commands have the name "a"/],
  ]
  for (const [kind, words, message] of cases)
    test(`${kind} ${words.slice(0, 3).join(' | ')}`, () => {
      assert.throws(() => sourcesOf({ [kind]: words }), { name: 'CommandError', exitCode: 2, message })
    })
})

test('a whole agent, told by flags and variables, and a server: what it scrapes and runs is in the index', async (t) => {
  if (process.platform !== 'linux') return t.skip('needs /proc')
  const url = await httpServer(t, (_request, response) => void response.end('orders_total{shop="a",host="x"} 7\n'))
  const bench = new Bench()
  const server = bench.server()
  const { tcp, http } = await server.start()
  await server.ready()
  const signals = new EventEmitter()
  const said: string[] = []
  const exit = runProgram(['agent', '--server', tcp!, '--host', 'h', '--scrape', `${url} interval=1s job=shop`], {
    write: (text) => void said.push(text),
    print: async (text) => void said.push(text),
    complain: (text) => void said.push(text),
    env: { PATH: process.env.PATH, RICCI_COMMAND: `check interval=1s -- echo "fine | a=1"` },
    interactive: false,
    signals,
  })
  const find = async (query: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const response = await fetch(`http://${http}/api/v1/query?query=${encodeURIComponent(query)}`)
      const { events } = (await response.json()) as { events: Record<string, unknown>[] }
      if (events.length > 0) return events[0]
    }
  }
  const order = await find('__name__ = "orders_total"')
  const check = await find('service = "check"')
  const figure = await find('service = "check a"')
  await find('service = "up job=shop" and state = "ok"')
  signals.emit('SIGTERM')
  assert.equal(await exit, 0, said.join(''))
  await bench.close()
  assert.equal(order.service, 'orders_total exported_host=x job=shop shop=a')
  assert.deepEqual([order.host, order.metric, order.tags], ['h', 7, ['agent']])
  assert.deepEqual([check.state, check.description], ['ok', 'fine'])
  assert.equal(figure.metric, 1)
})

test('the help shows no password of a broker', async () => {
  let shown = ''
  const code = await runProgram(['agent', '--help'], {
    write: (text) => void (shown += text),
    print: async () => undefined,
    complain: assert.fail,
    env: { RICCI_SERVER: 'amqps://agent:secret@broker/ricci' },
    interactive: false,
    signals: new EventEmitter(),
  })
  assert.equal(code, 0)
  assert.match(shown, /--server/)
  assert.doesNotMatch(shown, /secret/)
})
