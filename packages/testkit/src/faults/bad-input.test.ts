// What people and peers do wrong, done to the real daemon: a clear sentence that says what to do, and everything else goes on.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { encodeMsg, frame, RiemannTcpClient } from '@ricci/client'
import { SeededRandom } from '../random.ts'
import { Daemon } from './daemon.ts'
import { Pager } from './pager.ts'

const program = fileURLToPath(new URL('../../../../ricci.mjs', import.meta.url))
const timeout = 60_000
const plainRules = `import { index, rules } from 'ricci'\nexport default rules(index())\n`
const listen = { tcp: '127.0.0.1:0', udp: 'off', http: '127.0.0.1:0' }

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** A folder with a configuration and rules. */
function folderWith(config: object | string, rules = plainRules): string {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-faults-'))
  open.push(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'rules'))
  writeFileSync(join(folder, 'rules', 'index.ts'), rules)
  writeFileSync(join(folder, 'ricci.yaml'), typeof config === 'string' ? config : JSON.stringify(config))
  return folder
}

function serve(folder: string, through?: readonly string[]): Daemon {
  const daemon = new Daemon(program, ['serve', '--config', 'ricci.yaml', '--log-format', 'json'], {
    cwd: folder,
    through,
  })
  open.push(() => daemon.kill())
  return daemon
}

function clientOf(port: number): RiemannTcpClient {
  const client = new RiemannTcpClient({ port, timeoutMs: timeout })
  open.push(() => client.destroy())
  return client
}

/** Sends bytes on a connection of their own; resolves with what came back once the daemon has closed it. */
function closedAfter(port: number, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const got: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk) => got.push(chunk))
    socket.on('end', () => resolve(Buffer.concat(got)))
    socket.on('error', reject)
  })
}

async function metric(http: number, line: RegExp): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text()
  const found = line.exec(text)
  assert.ok(found, `no ${line} in the metrics`)
  return Number(found[1])
}

describe('what keeps a daemon from starting', { timeout }, () => {
  it('a typo in the configuration: exit code 78, with file, line and caret', async () => {
    const daemon = serve(folderWith('data: data\nlisten:\n  tpc: 127.0.0.1:0\n'))
    assert.equal((await daemon.exited).code, 78)
    assert.match(daemon.text, /ricci\.yaml:3:3: .*"tpc".*did you mean "tcp"/)
    assert.match(daemon.text, /\n {2}3 \| {3}tpc: 127\.0\.0\.1:0\n {4}\| {3}\^{3}/)
  })

  it('a mistake in the first rules: exit code 78, with file, line and caret', async () => {
    const daemon = serve(folderWith({ data: 'data', listen }, `${plainRules}const x = = 1\n`))
    assert.equal((await daemon.exited).code, 78)
    assert.match(daemon.text, /rules\/index\.ts:3:11: /)
    assert.match(daemon.text, /\n {2}3 \| const x = = 1\n {4}\| {11}\^/)
  })

  it('the same data, or a port in use: a sentence each, and who was there goes on', async () => {
    const folder = folderWith({ data: 'data', listen })
    const first = serve(folder)
    const { tcp } = await first.serving()
    const client = clientOf(tcp)
    const second = serve(folder)
    const taken = serve(folderWith({ data: 'data', listen: { ...listen, tcp: `127.0.0.1:${tcp}` } }))
    assert.equal((await second.exited).code, 1)
    assert.match(second.text, /in use by|already|another process/)
    assert.equal((await taken.exited).code, 1)
    assert.match(taken.text, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${tcp}: the port is in use.*choose another`))
    await client.send([{ host: 'a', service: 's', ttl: 3600 }])
    assert.equal((await client.query('host = "a"')).length, 1)
    assert.equal((await first.stop()).code, 0)
  })

  it('no broker of a cluster is there: it says so, waits, and ends when it is told to', async () => {
    const cluster = {
      ...{ brokers: ['amqp://ricci:secret@127.0.0.1:1/ricci'], store: 'consul://127.0.0.1:1' },
      ...{ listen: '127.0.0.1:0', secret: 'known to no other' },
    }
    const daemon = serve(folderWith({ data: 'data', listen, cluster }))
    const { msg } = await daemon.logged(/waits for RabbitMQ/)
    assert.match(msg, /no broker can be used: 127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED/)
    assert.doesNotMatch(daemon.text, /secret/)
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null })
  })

  it('an address of a cluster that is none: exit code 78, and nothing of what may be a password', async () => {
    const cluster = { brokers: ['https://ricci:secret@127.0.0.1'], store: 'consul://127.0.0.1:1' }
    const daemon = serve(folderWith({ data: 'data', listen, cluster }))
    assert.equal((await daemon.exited).code, 78)
    assert.match(daemon.text, /an address beginning with amqp:\/\/, amqps:\/\/, .* is needed here/)
    assert.doesNotMatch(daemon.text, /secret/)
  })
})

/** Hostile to single services, whose names are put together: spelt out, the checks before a switch would come upon them. */
const hostileRules = `import { incident, index, rules, smap, tap, where } from 'ricci'
export default rules(
  index(),
  smap((event) => { if (event.service === 'throw') throw new Error('thrown on purpose'); return event }, tap('all')),
  where((event) => event.service !== ['lo', 'op'].join('') || endless(), tap('never')),
  where((event) => event.service !== 'explode' || /^(a+)+$/.test(event.description ?? ''), tap('explode')),
  where('description ~= "^(a+)+$"', tap('linear')),
  incident('bad', { bad: 'state = "bad"', to: 'pager' }),
)
function endless(): boolean { for (;;); }
`
/** Doubles the time of a backtracking matcher with each letter: this many are the age of the universe. */
const exploding = `${'a'.repeat(90)}!`

describe('what is done to a daemon that runs', { timeout: 2 * timeout }, () => {
  it('rules that throw, loop or explode, wrong and exploding queries, malformed frames: all else goes on', async () => {
    const pager = await Pager.start(new SeededRandom(1), 'A')
    open.push(() => pager.close())
    const receivers = { pager: { type: 'webhook', url: pager.url } }
    const folder = folderWith({ data: 'data', listen, receivers }, hostileRules)
    const daemon = serve(folder)
    const { tcp, http } = await daemon.serving()
    const client = clientOf(tcp)
    const paged = async (host: string): Promise<void> => {
      const told = pager.answered((request) => request.host === host)
      await client.send([{ host, service: 's', state: 'bad', ttl: 3600 }])
      await told
    }
    await paged('before')

    const valid = frame(encodeMsg({ events: [{ host: 'piped', service: 's', ttl: 3600 }] }))
    const malformed: [name: string, bytes: Uint8Array][] = [
      ['no protobuf', Uint8Array.of(0, 0, 0, 4, 255, 255, 255, 255)],
      ['a string that ends beyond its event', Uint8Array.of(0, 0, 0, 6, 0x32, 4, 0x22, 9, 0x61, 0x62)],
      ['a length beyond the limit', Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
      ['HTTP on the wrong port', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
      ['a valid message first', Buffer.concat([valid, Uint8Array.of(0, 0, 0, 1, 0xff)])],
    ]
    for (const [name, bytes] of malformed) {
      const replies = await closedAfter(tcp, bytes)
      assert.equal(replies.length, name === 'a valid message first' ? 6 : 0, name)
    }
    assert.equal(await metric(http, /^ricci_\w*malformed\w*\{transport="tcp"\} (\d+)$/m), malformed.length)
    assert.equal(daemon.lines.filter(({ msg }) => msg.startsWith('closed a connection: ')).length, malformed.length)
    assert.equal((await client.query('host = "piped"')).length, 1)

    await assert.rejects(client.query('service = ('), /query: /)
    await client.send([{ host: 'long', service: 'text', description: exploding, ttl: 3600 }])
    assert.deepEqual(await client.query('description ~= "^(a+)+$"'), [])
    await assert.rejects(client.query('description ~= "(?=a)b"'), /query: /)

    await client.send([{ host: 'a', service: 'throw', ttl: 3600 }])
    await daemon.logged(/a rule threw: .*thrown on purpose/)
    await paged('after a throw')
    for (const service of ['loop', 'explode']) {
      await client.send([{ host: 'a', service, description: exploding, ttl: 3600 }])
      await paged(`after ${service}`)
    }
    assert.equal((await client.query('host = "a"')).length, 3, 'what stalled a branch is in the index all the same')
    assert.equal(await metric(http, /^ricci_engine_restarts_total\{reason="ENGINE_STUCK"\} (\d+)$/m), 2)
    assert.equal((await daemon.stop()).code, 0)
  })
})

describe('output that nobody takes', { timeout }, () => {
  const pageRules = `import { incident, rules } from 'ricci'\nexport default rules(incident('bad', { to: 'console' }))\n`

  it('a server goes on without it, and tries a page again', async () => {
    const daemon = serve(folderWith({ data: 'data', listen }, pageRules))
    const { tcp, http } = await daemon.serving()
    const client = clientOf(tcp)
    daemon.deafen()
    await client.send([{ host: 'a', service: 's', state: 'bad', ttl: 3600 }])
    // a line of the log, too
    await closedAfter(tcp, Uint8Array.of(0, 0, 0, 1, 0xff))
    for (let tried = false; !tried;) {
      const answer = await fetch(`http://127.0.0.1:${http}/api/v1/incidents`)
      const { pages } = (await answer.json()) as { pages?: { attempts: { result?: string }[] }[] }
      tried = pages?.[0]?.attempts[0]?.result === 'failed'
    }
    await client.send([{ host: 'a', service: 't', ttl: 3600 }])
    assert.equal((await daemon.stop()).code, 0)
  })

  it('a command whose answer finds no room fails, and says so', async () => {
    const daemon = serve(folderWith({ data: 'data', listen }))
    const { http } = await daemon.serving()
    const words = ['query', 'true', '-o', 'json', '--url', `http://127.0.0.1:${http}`]
    const onto = (file: string): Daemon =>
      new Daemon(program, words, { through: ['sh', '-c', `exec "$@" > ${file}`, 'sh'] })
    const full = onto('/dev/full')
    assert.equal((await full.exited).code, 1)
    assert.match(full.text, /^ricci: the output could not be written: .*ENOSPC/)
    assert.equal((await onto('/dev/null').exited).code, 0)
    assert.equal((await daemon.stop()).code, 0)
  })
})

describe('a receiver that nobody reaches', { timeout }, () => {
  it('is named in the log, with the reason', async () => {
    const receivers = { pager: { type: 'webhook', url: 'http://127.0.0.1:1/' } }
    const rules = `import { notify, rules } from 'ricci'\nexport default rules(notify('pager'))\n`
    const daemon = serve(folderWith({ data: 'data', listen, receivers }, rules))
    const { tcp } = await daemon.serving()
    await clientOf(tcp).send([{ host: 'a', service: 's' }])
    const { msg, receiver } = await daemon.logged(/could not be delivered/)
    assert.equal(receiver, 'pager')
    assert.match(msg, /is tried again: nothing was sent: .*ECONNREFUSED/)
    assert.equal((await daemon.stop()).code, 0)
  })
})

/** Becomes the daemon, with a file system of its own for the data: seen by it alone, gone with it, and nearly full. */
const nearlyFull = [
  ...['unshare', '--map-root-user', '--mount', 'sh', '-ec'],
  'mount -t tmpfs -o size=8m none data; dd if=/dev/zero of=data/filler bs=1M count=6 status=none; exec "$@"',
  'sh',
]
const mounts = spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status === 0

describe('a full disk', { timeout, skip: mounts ? false : 'this user may not mount a small file system' }, () => {
  it('refuses events with a sentence, keeps what it acknowledged, and takes more once there is room', async () => {
    const folder = folderWith({ data: 'data', listen })
    mkdirSync(join(folder, 'data'))
    const daemon = serve(folder, nearlyFull)
    const { tcp, http } = await daemon.serving()
    const client = clientOf(tcp)
    const description = 'x'.repeat(10_000)
    const acknowledged: string[] = []
    let error: string | undefined
    for (let i = 0; error === undefined && i < 1_000; i++) {
      const reply = await client.sendMsg({ events: [{ host: 'full', service: `s${i}`, description, ttl: 3600 }] })
      if (reply.ok === true) acknowledged.push(`s${i}`)
      else error = reply.error
    }
    assert.match(error ?? 'never refused', /full/)
    assert.ok(acknowledged.length > 0, 'nothing fitted at all')
    assert.match((await daemon.logged(/full/)).msg, /full/)
    const found = async (): Promise<string[]> =>
      (await client.query('host = "full"')).map(({ service }) => service!).sort()
    assert.deepEqual(await found(), [...acknowledged].sort())
    assert.equal((await fetch(`http://127.0.0.1:${http}/healthz`)).status, 200)

    // small records fitted still: until nothing does, it goes on trying and taking what it can
    const data = `/proc/${daemon.pid}/root${folder}/data`
    assert.throws(() => writeFileSync(`${data}/filler.2`, Buffer.alloc(8_000_000)), { code: 'ENOSPC' })
    assert.equal((await client.sendMsg({ events: [{ host: 'full', description }] })).ok, false)
    const unready = await fetch(`http://127.0.0.1:${http}/readyz`)
    assert.equal(unready.status, 503)
    assert.match(await unready.text(), /"part":"log","detail":"it refuses events: the disk .* is full/)

    rmSync(`${data}/filler`)
    await client.send([{ host: 'full', service: 'room', ttl: 3600 }])
    assert.equal((await fetch(`http://127.0.0.1:${http}/readyz`)).status, 200)
    assert.deepEqual(await found(), [...acknowledged, 'room'].sort())
    assert.equal((await daemon.stop()).code, 0)
  })
})
