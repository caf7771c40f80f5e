import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { test } from 'node:test'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { WebSockets } from './web-sockets.ts'

test('who sends events over a WebSocket and reads no answer is not read any more', async (context) => {
  const telemetry = new Telemetry(silentLogger(), () => 0)
  const sockets = new WebSockets({
    backend: {
      query: () => assert.fail(),
      watch: () => assert.fail(),
      take: async () => undefined,
      logId: () => 'log',
    },
    ...{ telemetry, refusalOf: () => undefined, nowSeconds: () => 1_000, stalledReadMs: 60_000 },
  })
  const server = createServer()
  let connection: Duplex | undefined
  server.on('upgrade', (request, upgraded: Duplex, head: Buffer) => {
    connection = upgraded
    sockets.upgrade(request, upgraded, head)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => undefined)
  context.after(async () => {
    socket.destroy()
    await sockets.close()
    await new Promise((resolve) => server.close(resolve))
  })
  const headers = ['Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
  socket.write(`GET /events HTTP/1.1\r\n${headers.join('\r\n')}\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\n\r\n`)
  await once(socket, 'data')
  socket.pause()
  // each is no JSON: seven bytes that have an answer of seventy
  const sent = 300_000
  socket.write(Buffer.alloc(7 * sent, Buffer.from('8181000000007a', 'hex')))
  const taken = async (): Promise<number> => (await telemetry.metrics.malformed.get()).values[0]?.value ?? 0
  // either all are taken, or nobody reads
  while (!(connection!.isPaused() && connection!.writableLength > 0) && (await taken()) < sent)
    await new Promise(setImmediate)
  assert.ok((await taken()) < sent, `${await taken()} were taken`)
  assert.ok(connection!.writableLength < 1 << 20, `${connection!.writableLength} bytes wait for who does not read`)
})
