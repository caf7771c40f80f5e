// Watching the index through the real server: what a reader is told, whatever happens to the engine or to the reader.
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { Bench } from './testing.ts'

const benches: Bench[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const each of benches.splice(0)) await each.close()
})

interface Told {
  readonly service: string
  readonly state?: string
  readonly description?: string
}

/** What a watch tells, event by event; resolves once the watch is in place. */
async function watching(http: string | undefined, query: string): Promise<AsyncGenerator<Told>> {
  const gone = new AbortController()
  const url = `http://${http}/api/v1/watch?query=${encodeURIComponent(query)}`
  const response = await fetch(url, { signal: gone.signal })
  assert.equal(response.status, 200)
  return (async function* () {
    try {
      yield* linesOf(response.body!)
    } finally {
      gone.abort()
    }
  })()
}

async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Told> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop()!
    for (const line of lines) if (line !== '') yield JSON.parse(line) as Told
  }
}

describe('A watch', () => {
  it('goes on across an engine that stalled and was replaced, each event once', { timeout: 120_000 }, async () => {
    const bench = new Bench(`import { index, rules, where, tap } from 'ricci'
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
    benches.push(bench)
    const server = bench.server()
    const { tcp, http } = await server.start()
    await server.ready()
    const client = bench.client(tcp)
    const watch = await watching(http, 'host = "a"')
    const rare = await watching(http, 'service = "last"')
    const expected: string[] = []
    for (let i = 0; i < 40; i++) {
      const services = i === 20 ? ['beside', 'hang', 'after it'] : [`s${i}`, `t${i}`]
      expected.push(...services)
      await client.send(services.map((service) => ({ host: 'a', service, ttl: 3600 })))
    }
    await bench.said(/for two seconds, in where/)
    await client.send([{ host: 'a', service: 'last' }])
    const told: string[] = []
    for (let { value } = await watch.next(); value?.service !== 'last'; { value } = await watch.next()) {
      told.push(value!.service)
    }
    assert.deepEqual(told, expected)
    assert.equal((await rare.next()).value?.service, 'last')
    assert.equal((await server.status()).partitions[0].engine.generation, 2)
    await watch.return(undefined)
    await rare.return(undefined)
  })

  it(
    'waits for a reader that does not read, then tells it what is missing, and closes',
    { timeout: 120_000 },
    async () => {
      const bench = new Bench()
      benches.push(bench)
      const server = bench.server()
      const { tcp, http } = await server.start()
      await server.ready()
      const client = bench.client(tcp)
      const socket = connect(Number(http!.split(':')[1]), '127.0.0.1')
      sockets.push(socket)
      socket.write('GET /api/v1/watch?query=true HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await new Promise((resolve) => socket.once('readable', resolve))
      // it reads no further; twice as many bytes come as are kept and as the buffers on the way take
      const description = 'x'.repeat(16_000)
      const events = Array.from({ length: 100 }, (_, i) => ({ host: 'slow', service: `s${i}`, description }))
      for (let i = 0; i < 40; i++) await client.send(events)
      assert.equal((await client.query('host = "slow" and service = "s99"')).length, 1)
      let text = ''
      socket.on('data', (chunk: Buffer) => (text = (text + chunk.toString()).slice(-2_000)))
      await new Promise((resolve) => socket.once('close', resolve))
      assert.match(text, /changes by the records \d+ to \d+ are missing here: they came faster than they were read/)
      assert.match(text, /the watch ends here/)
    },
  )
})
