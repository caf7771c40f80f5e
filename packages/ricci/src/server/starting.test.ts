// An instance that waits for brokers says so to whoever asks whether it lives and is ready, and can be stopped.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../config/config.ts'
import { Bench } from './testing.ts'

test('while it waits for brokers it lives, is not ready, and tells what it waits for', async () => {
  const bench = new Bench()
  try {
    const port = await freePort()
    const file = join(bench.folder, 'ricci.yaml')
    const config = {
      ...{ instance: 'a', data: 'data' },
      listen: { tcp: 'off', udp: 'off', http: `127.0.0.1:${port}` },
      cluster: {
        ...{ listen: '127.0.0.1:0', secret: 'known to the three of them', store: 'consul://127.0.0.1:1' },
        brokers: ['amqp://guest:guest@127.0.0.1:1/'],
      },
    }
    writeFileSync(file, JSON.stringify(config))
    const server = bench.server({ config: loadConfig(file) })
    const starting = assert.rejects(server.start(), { code: 'NOT_RUNNING' })
    await bench.said(/waits for RabbitMQ/)
    const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`)
    assert.equal((await get('/healthz')).status, 200)
    assert.equal((await get('/metrics')).status, 200)
    const ready = await get('/readyz')
    assert.equal(ready.status, 503)
    assert.match(await ready.text(), /waits for RabbitMQ: no broker can be used/)
    const asked = await get('/api/v1/cluster')
    assert.equal(asked.status, 503)
    assert.match(await asked.text(), /has not begun: it waits for RabbitMQ/)
    await server.stop()
    await starting
    await assert.rejects(get('/healthz'), 'it listens no more')
  } finally {
    await bench.close()
  }
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
