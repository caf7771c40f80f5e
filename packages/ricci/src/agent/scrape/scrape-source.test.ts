import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Event } from '@ricci/client'
import { CertificateAuthority } from '@ricci/testkit'
import { httpServer, rawServer, TestClock } from '../../receivers/testing.ts'
import { scrapeSource, type ScrapeOptions } from './scrape-source.ts'

interface Scraping {
  readonly clock: TestClock
  readonly problems: string[]
  /** One scrape: the state and description of `up`, and the other services. */
  ask(): Promise<{ readonly up: Event; readonly said: string; readonly services: readonly (string | undefined)[] }>
}

function scraping(t: TestContext, url: string, options: Partial<ScrapeOptions> = {}): Scraping {
  const clock = new TestClock()
  const problems: string[] = []
  const source = scrapeSource(
    { url, intervalMs: 15_000, timeoutMs: 10_000, ...options },
    { clock, onProblem: (text) => problems.push(text) },
  )
  t.after(async () => {
    await source.stop()
    assert.equal(clock.pendingTimers, 0)
  })
  return {
    clock,
    problems,
    async ask() {
      const [up, ...others] = await source.once()
      const said = (up.description ?? '').replace(`${url}: `, '')
      return { up, said, services: others.map(({ service }) => service) }
    },
  }
}

const answer =
  (
    body: string | Buffer,
    headers: Record<string, string> = { 'content-type': 'text/plain; version=0.0.4' },
  ): RequestListener =>
  (_request, response) =>
    response.writeHead(200, headers).end(body)

describe('a target that answers', () => {
  test('is asked for both formats, and gives up, its series, and how long they hold', async (t) => {
    let asked: Record<string, unknown> = {}
    const url = await httpServer(t, (request, response) => {
      asked = { ...request.headers, url: request.url }
      answer('a 1\nb{c="d"} 2\n')(request, response)
    })
    const { up, said, services } = await scraping(t, url, { job: 'shop' }).ask()
    assert.deepEqual(
      { ...up, description: said },
      {
        service: 'up job=shop',
        metric: 1,
        metricType: 'double',
        state: 'ok',
        description: '2 series in 0 ms',
        ttl: 45,
        attributes: { __name__: 'up', job: 'shop' },
      },
    )
    assert.deepEqual(services, ['a job=shop', 'b c=d job=shop'])
    assert.equal(asked.url, '/hook?a=1')
    assert.match(String(asked.accept), /^application\/openmetrics-text;version=1.0.0;.*text\/plain;version=0.0.4/)
    assert.equal(asked['x-prometheus-scrape-timeout-seconds'], '10')
    assert.equal(asked.authorization, undefined)
    assert.equal(asked.connection, 'close')
  })

  test('OpenMetrics is told by its content type', async (t) => {
    const headers = { 'content-type': 'application/openmetrics-text; version=1.0.0; charset=utf-8' }
    const whole = await httpServer(t, answer('# TYPE a counter\na_total 1\na_created 5\n# EOF\n', headers))
    assert.deepEqual((await scraping(t, whole).ask()).services, ['a_total'])
    const cut = await httpServer(t, answer('a_total 1\n', headers))
    assert.match((await scraping(t, cut).ask()).said, /are no metrics: it ends before "# EOF"/)
  })

  test('gzip is unpacked, and bounded when it is', async (t) => {
    const headers = { 'content-encoding': 'gzip' }
    const packed = await httpServer(t, answer(gzipSync('a 1\n'), headers))
    assert.deepEqual((await scraping(t, packed).ask()).services, ['a'])
    // a thousand times as large as what is sent
    const bomb = await httpServer(t, answer(gzipSync(`#${' '.repeat(50e6)}\n`), headers))
    assert.equal((await scraping(t, bomb).ask()).said, 'the answer is larger than 2.0 MiB')
    const broken = await httpServer(t, answer(gzipSync('a 1\n').subarray(0, 12), headers))
    assert.equal((await scraping(t, broken).ask()).up.state, 'critical')
  })

  test('too many series: up says so, and the first are taken', async (t) => {
    const url = await httpServer(t, answer('a 1\nb 2\nc 3\n'))
    const { up, said, services } = await scraping(t, url, { maxSeries: 2 }).ask()
    assert.deepEqual([up.metric, up.state, services], [1, 'warning', ['a', 'b']])
    assert.equal(said, '1 series are left out: more than 2, or with labels too long')
  })

  test('a series that is called as our own is left out', async (t) => {
    const url = await httpServer(t, answer('up 7\nup{instance="x"} 8\n'))
    const { up, services } = await scraping(t, url).ask()
    assert.deepEqual([up.metric, services], [1, ['up instance=x']])
  })
})

describe('a target that misbehaves', () => {
  const statuses: [number, string][] = [
    [404, 'HTTP 404'],
    [503, 'HTTP 503'],
    [204, 'HTTP 204'],
  ]
  for (const [status, why] of statuses)
    test(`status ${status}`, async (t) => {
      const url = await httpServer(t, (_request, response) => response.writeHead(status).end())
      const { up, said, services } = await scraping(t, url).ask()
      assert.deepEqual([up.metric, up.state, said, services], [0, 'critical', why, []])
    })

  test('a page instead of metrics', async (t) => {
    const url = await httpServer(t, answer('<!doctype html>\n<title>Log in</title>\n', { 'content-type': 'text/html' }))
    assert.match((await scraping(t, url).ask()).said, /^what it answers are no metrics: line 1: it begins with no name/)
  })

  test('it streams endlessly: cut off at the limit, and the connection with it', async (t) => {
    let isClosed: Promise<unknown> | undefined
    const url = await httpServer(t, (request, response) => {
      isClosed = new Promise((resolve) => request.socket.on('error', () => undefined).on('close', resolve))
      const more = (): void => {
        while (response.write('a 1\n'.repeat(10_000)));
        response.once('drain', more)
      }
      more()
    })
    assert.equal((await scraping(t, url, { maxBytes: 1e6 }).ask()).said, 'the answer is larger than 976.6 KiB')
    await isClosed
  })

  test('it answers nothing, or stops in the middle: not waited for longer than said', async (t) => {
    for (const begun of ['', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\na 1\n']) {
      let onClosed: () => void
      const closed = new Promise<void>((resolve) => (onClosed = resolve))
      let onAsked: () => void
      const asked = new Promise<void>((resolve) => (onAsked = resolve))
      const url = await rawServer(t, (socket) => {
        socket.on('close', () => onClosed())
        socket.once('data', () => (socket.write(begun), onAsked()))
      })
      const { ask, clock } = scraping(t, url)
      const answered = ask()
      await asked
      clock.advance(10_000)
      const { up, said } = await answered
      assert.deepEqual([up.metric, said], [0, 'no whole answer in 10 s'])
      await closed
    }
  })

  test('headers without end, a broken answer, a connection that breaks, nobody there', async (t) => {
    const flood = await rawServer(t, (socket) => {
      socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`))
    })
    assert.match((await scraping(t, flood).ask()).said, /Header overflow/i)
    const garbage = await rawServer(t, (socket) => socket.once('data', () => socket.end('SSH-2.0-OpenSSH_9.2\r\n')))
    assert.match((await scraping(t, garbage).ask()).said, /Expected HTTP/)
    const short = await rawServer(t, (socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\na 1\n')),
    )
    assert.equal((await scraping(t, short).ask()).up.state, 'critical')
    const { said, up } = await scraping(t, 'http://127.0.0.1:1/metrics').ask()
    assert.match(said, /ECONNREFUSED/)
    assert.equal(up.metric, 0)
  })

  test('redirects: followed three times, never to what is less safe', async (t) => {
    const chain =
      (left: number): RequestListener =>
      (request, response) => {
        const at = Number(new URL(request.url!, 'http://x').searchParams.get('at') ?? 0)
        if (at === left) return answer('a 1\n')(request, response)
        response.writeHead(302, { location: `/?at=${at + 1}` }).end()
      }
    assert.deepEqual((await scraping(t, await httpServer(t, chain(3))).ask()).services, ['a'])
    assert.equal((await scraping(t, await httpServer(t, chain(4))).ask()).said, 'more than 3 redirects')
    const to =
      (location: string): RequestListener =>
      (_request, response) =>
        response.writeHead(301, { location }).end()
    assert.match((await scraping(t, await httpServer(t, to('file:///etc/passwd'))).ask()).said, /redirects to file/)
    assert.match((await scraping(t, await httpServer(t, to('http://['))).ask()).said, /what is no URL/)
  })
})

describe('tokens and TLS', () => {
  test('a token goes to the target, and to no other that it names', async (t) => {
    const seen: (string | undefined)[] = []
    const other = await httpServer(t, (request, response) => {
      seen.push(request.headers.authorization)
      answer('a 1\n')(request, response)
    })
    const url = await httpServer(t, (request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(307, { location: other }).end()
    })
    const { ask } = scraping(t, url, { token: async () => 'abc' })
    assert.deepEqual((await ask()).services, ['a'])
    assert.deepEqual(seen, ['Bearer abc', undefined])
  })

  test('a token that cannot be read', async (t) => {
    const { ask } = scraping(t, 'http://127.0.0.1:1/', { token: () => Promise.reject(new Error('ENOENT')) })
    assert.equal((await ask()).said, 'the token cannot be read: ENOENT')
  })

  test('a certificate is checked: by the usual authorities, or by those that are named', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'ricci-scrape-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const authority = await CertificateAuthority.create(folder)
    const { key, cert } = await authority.issue('exporter')
    const server = createServer({ key, cert }, answer('a 1\n'))
    t.after(() => new Promise((resolve) => server.close(resolve)))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
    assert.match((await scraping(t, url).ask()).said, /certificate/)
    assert.deepEqual((await scraping(t, url, { ca: authority.certificate }).ask()).services, ['a'])
  })
})

test('it is scraped on its grid, not while the last scrape goes on, and not after its end', async (t) => {
  const clock = new TestClock()
  const waiting: (() => void)[] = []
  let onAsked = (): void => undefined
  const url = await httpServer(t, (request, response) => {
    waiting.push(() => answer('a 1\n')(request, response))
    onAsked()
  })
  const nextAsked = () => new Promise<void>((resolve) => (onAsked = resolve))
  let onEvents = (): void => undefined
  const emitted: string[][] = []
  const source = scrapeSource(
    { url, intervalMs: 10_000, timeoutMs: 60_000, phase: 0.5 },
    { clock, onProblem: assert.fail },
  )
  source.start((events) => {
    emitted.push(events.map(({ service }) => service!))
    onEvents()
  })
  clock.advance(4_999)
  assert.equal(clock.pendingTimers, 1)
  const first = nextAsked()
  clock.advance(1)
  await first
  // two of its times pass while it waits
  clock.advance(20_000)
  assert.equal(waiting.length, 1)
  const told = new Promise<void>((resolve) => (onEvents = resolve))
  waiting.shift()!()
  await told
  assert.deepEqual(emitted, [['up', 'a']])
  const second = nextAsked()
  clock.advance(10_000)
  await second
  await source.stop()
  assert.deepEqual(emitted.length, 1)
  assert.equal(clock.pendingTimers, 0)
})
