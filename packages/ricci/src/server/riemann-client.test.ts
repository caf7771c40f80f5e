import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, it } from 'node:test'
import { debianTool } from '@ricci/testkit'
import { Bench } from './testing.ts'

const tool = debianTool('riemann-c-client', 'riemann-client')
const execute = promisify(execFile)
const run = async (...args: string[]): Promise<string> => {
  assert.ok('command' in tool)
  return (await execute(tool.command, args, { env: tool.env })).stdout
}

let bench: Bench | undefined
afterEach(() => bench?.close())

it(
  'a client of others sends and queries, over TCP and UDP',
  { skip: 'missing' in tool ? tool.missing : false },
  async () => {
    bench = new Bench()
    const server = bench.server()
    const { tcp } = await server.start()
    await server.ready()
    const port = tcp!.split(':')[1]
    const common = ['-h', 'there', '-s', 'ok', '-i', '7', '-L', '3600', '-t', 'one', '-a', 'rack=7']
    await run('send', ...common, '-S', 'over-tcp', '127.0.0.1', port)
    await run('send', '--udp', ...common, '-S', 'over-udp', '127.0.0.1', port)
    const query = (): Promise<string> => run('query', '-j', 'host = "there"', '127.0.0.1', port)
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
  },
)
