import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, it } from 'node:test'
import { Bench } from './testing.ts'

const missing = spawnSync('riemann-client', ['--version']).error !== undefined
const skip = missing ? 'riemann-client is not installed (Debian: riemann-c-client)' : false
const run = promisify(execFile)

let bench: Bench | undefined
afterEach(() => bench?.close())

it('a client of others sends and queries, over TCP and UDP', { skip }, async () => {
  bench = new Bench()
  const server = bench.server()
  const { tcp } = await server.start()
  await server.ready()
  const port = tcp!.split(':')[1]
  const common = ['-h', 'there', '-s', 'ok', '-i', '7', '-L', '3600', '-t', 'one', '-a', 'rack=7']
  await run('riemann-client', ['send', ...common, '-S', 'over-tcp', '127.0.0.1', port])
  await run('riemann-client', ['send', '--udp', ...common, '-S', 'over-udp', '127.0.0.1', port])
  const query = async (): Promise<string> => {
    const { stdout } = await run('riemann-client', ['query', '-j', 'host = "there"', '127.0.0.1', port])
    return stdout
  }
  let found = await query()
  // a datagram is not acknowledged: ask until it has been taken in
  while (!found.includes('over-udp')) found = await query()
  const services = (JSON.parse(found) as { service: string }[]).map(({ service }) => service)
  assert.deepEqual(services.sort(), ['over-tcp', 'over-udp'])
  for (const event of await bench.client(tcp).query('host = "there"')) {
    const { state, metric, ttl, tags, attributes } = event
    assert.deepEqual({ state, metric, ttl, tags }, { state: 'ok', metric: 7, ttl: 3600, tags: ['one'] })
    assert.equal(attributes?.rack, '7')
  }
})
