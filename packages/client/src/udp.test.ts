import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { decodeMsg, RiemannUdpClient, type Event, type Msg } from './index.ts'

async function receiver(t: TestContext) {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  const arrived: { msg: Msg; bytes: number }[] = []
  let wanted: { count: number; done: () => void } | undefined
  socket.on('message', (bytes) => {
    arrived.push({ msg: decodeMsg(bytes), bytes: bytes.length })
    if (wanted !== undefined && arrived.length >= wanted.count) wanted.done()
  })
  const take = (count: number) =>
    new Promise<typeof arrived>((resolve) => {
      wanted = { count, done: () => resolve(arrived) }
      if (arrived.length >= count) resolve(arrived)
    })
  return { port: socket.address().port, take }
}

test('an event is a datagram', async (t) => {
  const { port, take } = await receiver(t)
  const riemann = new RiemannUdpClient({ port })
  t.after(() => riemann.close())
  await riemann.send({ host: 'h', service: 's', metric: 0.5 })
  assert.deepEqual((await take(1))[0].msg, { events: [{ host: 'h', service: 's', metric: 0.5 }] })
})

test('many events are divided over datagrams that the server takes', async (t) => {
  const { port, take } = await receiver(t)
  const riemann = new RiemannUdpClient({ port, maxDatagramBytes: 100 })
  t.after(() => riemann.close())
  const events: Event[] = Array.from({ length: 10 }, (_, i) => ({ service: `service-${i}`, metric: i }))
  await riemann.send(events)
  const datagrams = await take(2) // five events of 18 bytes each
  assert.ok(datagrams.every(({ bytes }) => bytes <= 100))
  const services = datagrams.flatMap(({ msg }) => msg.events!.map((event) => event.service))
  assert.deepEqual(services.sort(), events.map((event) => event.service).sort())
})

test('an event too large for a datagram is refused, and nothing of its call sent', async (t) => {
  const { port, take } = await receiver(t)
  const riemann = new RiemannUdpClient({ port })
  t.after(() => riemann.close())
  const large = { description: 'x'.repeat(20_000) }
  await assert.rejects(riemann.send([{ service: 'small' }, large]), { name: 'CodecError', code: 'FRAME_TOO_LARGE' })
  await riemann.send({ service: 'after' })
  assert.equal((await take(1))[0].msg.events![0].service, 'after')
})

test('closing waits for a name that is looked up: no send is left without an answer', async (t) => {
  const { port, take } = await receiver(t)
  const riemann = new RiemannUdpClient({ host: 'localhost', port })
  const sent = riemann.send({ service: 's' })
  await riemann.close()
  await sent
  assert.deepEqual((await take(1))[0].msg, { events: [{ service: 's' }] })
})

test('what cannot be sent rejects with an error of ours', async (t) => {
  // a broadcast, which a socket has to ask for
  const riemann = new RiemannUdpClient({ host: '255.255.255.255' })
  t.after(() => riemann.close())
  await assert.rejects(riemann.send({ service: 's' }), {
    name: 'ClientError',
    code: 'UNREACHABLE',
    retriable: true,
    message: /^a datagram to 255\.255\.255\.255:5555 could not be sent: /,
  })
})

test('a closed client says so', async () => {
  const riemann = new RiemannUdpClient({ port: 1 })
  await riemann.close()
  await riemann.close()
  await assert.rejects(riemann.send({}), { name: 'ClientError', code: 'CLOSED' })
})
