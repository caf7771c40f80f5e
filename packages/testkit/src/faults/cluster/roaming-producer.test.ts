import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { decodeMsg, encodeMsg, frame, FrameReader, refusalForNow, type Msg } from '@ricci/client'
import { metricOf, RoamingProducer } from './roaming-producer.ts'

/** What an instance does with each message, in turn; the last of them with all that follow. */
type Fate = 'ack' | 'silence' | 'close' | 'busy' | 'refuse'

/** An instance that keeps what it was sent, and does with it as it is told. */
class FakeInstance {
  readonly taken: Msg[] = []
  private readonly sockets = new Set<Socket>()
  private constructor(
    private readonly server: Server,
    private readonly fates: Fate[],
  ) {
    server.on('connection', (socket) => this.serve(socket))
  }

  static async start(t: TestContext, ...fates: Fate[]): Promise<FakeInstance> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const instance = new FakeInstance(server, fates)
    t.after(async () => {
      for (const socket of instance.sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    })
    return instance
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get sequences(): (number | undefined)[] {
    return this.taken.map(({ mark }) => mark?.sequence)
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket)
    const frames = new FrameReader()
    const reply = (msg: Msg): void => void socket.write(frame(encodeMsg(msg)))
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Uint8Array) => {
      frames.push(chunk)
      for (let bytes = frames.next(); bytes !== undefined; bytes = frames.next()) {
        this.taken.push(decodeMsg(bytes))
        const fate = this.fates.length > 1 ? this.fates.shift()! : this.fates[0]
        if (fate === 'ack') reply({ ok: true })
        else if (fate === 'busy') reply({ ok: false, error: refusalForNow('full') })
        else if (fate === 'refuse') reply({ ok: false, error: 'no' })
        else if (fate === 'close') return void socket.destroy()
      }
    })
  }
}

/** A producer of number 1: it begins at the second of two instances. */
function producerOf(t: TestContext, ...instances: FakeInstance[]): RoamingProducer {
  const ports = instances.map(({ port }) => port)
  const producer = new RoamingProducer('load/c00', 1, ports)
  t.after(() => producer.end())
  return producer
}

const event = { host: 'h', service: 's' }

describe('a producer that roams', () => {
  for (const fate of ['close', 'busy'] as const)
    it(`goes on at the next instance after '${fate}', in order and under the same marks`, async (t) => {
      const [next, first] = [await FakeInstance.start(t, 'ack'), await FakeInstance.start(t, 'ack', fate)]
      const producer = producerOf(t, next, first)
      const acked: number[] = []
      producer.send([event], () => acked.push(1))
      await producer.untilSettled()
      producer.send([event, event], () => acked.push(2))
      producer.send([event], () => acked.push(3))
      await producer.untilSettled()
      assert.deepEqual(acked, [1, 2, 3])
      assert.deepEqual(next.sequences, [2, 3])
      assert.equal(first.sequences[0], 1)
      assert.deepEqual(
        next.taken[0].events!.map(({ metric }) => metric),
        [metricOf(1, 2), metricOf(1, 2)],
      )
      assert.equal(producer.moves, 1)
      assert.equal(producer.unackedBytes, 0)
    })

  it('gives up an instance that does not answer', async (t) => {
    const [next, first] = [await FakeInstance.start(t, 'ack'), await FakeInstance.start(t, 'silence')]
    const producer = producerOf(t, next, first)
    producer.send([event])
    const looks = setInterval(() => producer.look(), 20)
    t.after(() => clearInterval(looks))
    await producer.untilSettled()
    assert.deepEqual([first.sequences, next.sequences], [[1], [1]])
  })

  it('tells what was refused for good, and counts it as not acknowledged', async (t) => {
    const instance = await FakeInstance.start(t, 'refuse', 'ack')
    const producer = producerOf(t, instance)
    producer.send([event])
    await new Promise<void>((resolve) => producer.send([event], resolve))
    assert.deepEqual(producer.refusals, ['load/c00, message 1: no'])
    assert.deepEqual([...producer.unacked.keys()], [1])
  })
})
