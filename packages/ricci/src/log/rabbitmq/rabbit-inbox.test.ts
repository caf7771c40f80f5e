/** The way in for publishers that are not Ricci, with a plain AMQP client that knows nothing of it, on real brokers. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { AMQPChannel } from '@cloudamqp/amqp-client'
import {
  decodeMsg,
  defaultLimits,
  encodeMsg,
  readMark,
  withMark,
  type ClientError,
  type Msg,
  type ProducerMark,
} from '@ricci/client'
import { decodeRecord } from '@ricci/engine'
import { partitionOf, ReplicaError } from '@ricci/replica'
import { PlainClient, RabbitCluster, without } from '@ricci/testkit'
import { Exchange } from '../../agent/servers/exchange.ts'
import { headWith, oneProducer, Recorder } from '../../intake/recorder.ts'
import { nodeClock } from '../../server/node-clock.ts'
import { Canary } from './canary.ts'
import { EventsSender } from './events-sender.ts'
import { Inboxes, type InboxesOptions } from './inbox.ts'
import { inboxPrefetch } from './limits.ts'
import { RabbitLog } from './rabbit-log.ts'
import { defaultTopology, declareInboxes, eventsExchange, inboxOf, refusedName } from './topology.ts'

const partitions = 4
const topology = { ...defaultTopology, partitions }
const event = (host: string, count: number): Uint8Array =>
  encodeMsg({ events: [{ host, service: 'count', metric: count }] })

/** A plain publisher: one record at a time of each key, each until it is confirmed, at one broker or another. */
class Foreign {
  /** By key, what was confirmed. */
  readonly confirmed = new Map<string, number[]>()
  private stopped = false
  private loops: Promise<void>[] = []
  private client: { readonly broker: number; readonly channel: Promise<AMQPChannel> } | undefined
  private next = 0
  /** Keys whose record came back: while an instance declares the inboxes, none may be bound yet. */
  private readonly returned = new Set<string>()
  private waiting: { readonly least: number; readonly tell: () => void }[] = []

  constructor(
    private readonly urls: readonly string[],
    keys: readonly string[],
  ) {
    this.loops = keys.map((key) => this.publish(key))
  }

  get count(): number {
    let count = 0
    for (const numbers of this.confirmed.values()) count += numbers.length
    return count
  }

  async more(count: number): Promise<void> {
    const least = this.count + count
    await new Promise<void>((tell) => this.waiting.push({ least, tell }))
  }

  async stop(): Promise<void> {
    this.stopped = true
    await Promise.all(this.loops)
    const channel = await this.client?.channel.catch(() => undefined)
    await channel?.connection.close()
  }

  private async publish(key: string): Promise<void> {
    const confirmed: number[] = []
    this.confirmed.set(key, confirmed)
    for (let count = 0; !this.stopped; count++) {
      while (!(await this.isConfirmed(key, event(key, count)))) {
        await new Promise<void>((resolve) => nodeClock.setTimer(100, resolve))
      }
      confirmed.push(count)
      for (const { least, tell } of this.waiting) if (this.count >= least) tell()
    }
  }

  private async isConfirmed(key: string, msg: Uint8Array): Promise<boolean> {
    const client = (this.client ??= { broker: this.next, channel: this.open(this.next++) })
    try {
      const channel = await client.channel
      await channel.basicPublish(eventsExchange, key, msg, { deliveryMode: 2 }, true)
      return !this.returned.delete(key)
    } catch {
      if (this.client === client) this.client = undefined
      return false
    }
  }

  private async open(broker: number): Promise<AMQPChannel> {
    const [channel] = await connected(this.urls[broker % this.urls.length])
    channel.onReturn = ({ routingKey }) => this.returned.add(routingKey)
    await channel.confirmSelect()
    return channel
  }
}

describe('Inboxes', { skip: without('rabbitmq', 'erlang') }, () => {
  let rabbit: RabbitCluster
  let vhosts = 0
  before(async () => {
    rabbit = await RabbitCluster.start()
  })
  after(() => rabbit.stop())

  const vhost = async (): Promise<string> => {
    const name = `inbox-${vhosts++}`
    await rabbit.vhost(name)
    return name
  }

  /** A log, and what empties the inboxes into it, as one instance has them. */
  const instance = async (name: string, urls: readonly string[], more: Partial<InboxesOptions> = {}) => {
    // a busy machine is no stall
    const log = await RabbitLog.open({ urls, name, clock: nodeClock, topology, confirmMs: 20_000 })
    const recorders = new Map<number, Recorder>()
    const inboxes = new Inboxes({
      urls,
      name,
      clock: nodeClock,
      topology,
      route: (key) => partitionOf(key, partitions),
      head: (partition, marked) => {
        const nowMs = nodeClock.wallMs()
        if (marked) return headWith(nowMs)
        let recorder = recorders.get(partition)
        if (recorder === undefined) recorders.set(partition, (recorder = new Recorder(oneProducer(`${name}/inbox`, 1))))
        return recorder.head(nowMs)
      },
      append: (partition, records) => log.publish(partition, records),
      limits: defaultLimits,
      ...more,
    })
    const stop = async (): Promise<void> => {
      await inboxes.stop()
      await log.close()
    }
    return { log, inboxes, stop }
  }

  /** The Msgs of each partition, once it holds what is wanted. */
  const read = async (
    log: RabbitLog,
    isAll: (msgs: readonly (readonly Uint8Array[])[]) => boolean,
  ): Promise<Uint8Array[][]> => {
    const msgs = Array.from({ length: partitions }, (): Uint8Array[] => [])
    const abort = new AbortController()
    const readers = msgs.map(async (own, partition) => {
      let next = 0
      while (!abort.signal.aborted)
        try {
          for await (const records of log.read(partition, next, abort.signal)) {
            for (const { offset, bytes } of records) {
              next = offset + 1
              const record = decodeRecord(bytes)
              // one without any events is the log's own, so that it sees a stall
              if (record.kind === 'events' && record.msg.length > 0) own.push(record.msg)
            }
            if (isAll(msgs)) abort.abort()
          }
        } catch (error) {
          // a broker that was started anew may end a reader once more: who reads goes on where it was
          if (!(error instanceof ReplicaError && error.retriable)) throw error
        }
    })
    await Promise.all(readers)
    return msgs
  }

  it('a plain publisher misses nothing that was confirmed to it, and keeps its order, across a restart of all brokers and a change of instance', async () => {
    const urls = rabbit.urls(await vhost())
    const [one, other] = [await instance('one', urls), await instance('other', urls)]
    one.inboxes.start()
    other.inboxes.start()
    const keys = Array.from({ length: 40 }, (_, index) => `cluster-${index}`)
    // a publisher that is there before all inboxes are sees keys go from one to another
    const [channel, client] = await connected(urls[0])
    await declareInboxes(channel, topology)
    await client.close()
    const publisher = new Foreign(urls, keys)
    await publisher.more(500)
    // whoever is the only one to be given an inbox's records goes, the other goes on
    await one.inboxes.stop()
    await publisher.more(500)
    const before = new Map([...publisher.confirmed].map(([key, counts]) => [key, counts.length]))
    for (const broker of [0, 1, 2]) await rabbit.signal(broker, 'SIGKILL')
    await Promise.all([0, 1, 2].map((broker) => rabbit.restart(broker)))
    await rabbit.healed()
    await publisher.more(500)
    await publisher.stop()
    const wanted = new Map([...publisher.confirmed].map(([key, counts]) => [key, new Set(counts)]))
    let at = Array.from({ length: partitions }, () => 0)
    const msgs = await read(other.log, (msgs) => {
      for (const [partition, own] of msgs.entries()) {
        for (const msg of own.slice(at[partition])) {
          const { host, metric } = decodeMsg(msg).events![0]
          wanted.get(host!)!.delete(Number(metric))
        }
      }
      at = msgs.map(({ length }) => length)
      return [...wanted.values()].every(({ size }) => size === 0)
    })
    const seen = new Map<string, number[]>(keys.map((key) => [key, []]))
    for (const [partition, own] of msgs.entries()) {
      for (const msg of own) {
        const { host, metric } = decodeMsg(msg).events![0]
        assert.equal(partition, partitionOf(host!, partitions), host)
        const counts = seen.get(host!)!
        if (!counts.includes(Number(metric))) counts.push(Number(metric))
        assert.ok(readMark(msg) !== undefined, 'every record has a mark')
      }
    }
    for (const [key, counts] of seen) {
      // a key may have another inbox afterwards, and what waits in the one before is not waited for
      const cut = before.get(key)!
      for (const part of [counts.filter((count) => count < cut), counts.filter((count) => count > cut)]) {
        assert.deepEqual(
          part,
          part.toSorted((a, b) => a - b),
          key,
        )
      }
    }
    await Promise.all([one.stop(), other.stop()])
  })

  it('leaves a mark as it came, and refuses once and for all what is no Msg of a cluster', async () => {
    const urls = rabbit.urls(await vhost())
    const refusals: string[] = []
    let allRefused = (): void => undefined
    const refused = new Promise<void>((resolve) => (allRefused = resolve))
    const onRefused = (why: string): void => void (refusals.push(why) === 4 && allRefused())
    const own = await instance('own', urls, { onRefused })
    const [channel, client] = await connected(urls[1])
    await declareInboxes(channel, topology)
    const queue = 'somewhere'
    await channel.queueDeclare(queue, { durable: false, exclusive: true })
    await channel.queueBind(queue, refusedName, '')
    let dead = 0
    let allDead = (): void => undefined
    const dying = new Promise<void>((resolve) => (allDead = resolve))
    await channel.basicConsume(queue, { noAck: true }, () => void (++dead === 4 && allDead()))
    own.inboxes.start()
    await channel.confirmSelect()
    const publish = (key: string, msg: Uint8Array) => channel.basicPublish(eventsExchange, key, msg, {}, true)
    const mark = { producer: 'agent', incarnation: 7, sequence: 1, sentAtMs: 5 }
    await publish('a', Uint8Array.of(1, 2, 3))
    await publish('', event('a', 0))
    await publish('a', encodeMsg({ query: 'true' }))
    await publish('a', encodeMsg({ events: [{ description: 'x'.repeat(3 << 20) }] }))
    await publish('a', withMark(event('a', 1), mark))
    await publish('a', event('a', 2))
    const marks = new Map<string, ProducerMark>()
    await read(own.log, (msgs) => {
      for (const found of msgs[partitionOf('a', partitions)].map(readMark)) marks.set(found!.producer, found!)
      return marks.size === 2
    })
    assert.deepEqual(marks.get('agent'), mark)
    const ours = marks.get('own/inbox')!
    assert.deepEqual([ours.incarnation, ours.sequence], [1, 1])
    await Promise.all([refused, dying])
    for (const why of [/key '': no routing key/, /key 'a': this is no protobuf/, /query/, /3145738 bytes/]) {
      assert.equal(refusals.filter((refusal) => why.test(refusal)).length, 1, refusals.join('\n'))
    }
    assert.equal(own.inboxes.refused, 4)
    await client.close()
    await own.stop()
  })

  it('an agent that may only write there brings each event to the partition of its key, once', async () => {
    const name = await vhost()
    const user = { name: `agent-${name}`, password: 'secret' }
    await rabbit.user(user, name, { configure: '^$', write: '^ricci\\.events$', read: '^$' })
    const urls = rabbit.urls(name)
    const asAgent = urls.map(
      (url) => Object.assign(new URL(url), { username: user.name, password: user.password }).href,
    )
    const exchange = new Exchange({ urls: asAgent, name: 'agent', clock: nodeClock })
    const msg = (sequence: number, hosts: readonly string[]): Msg => ({
      events: hosts.map((host) => ({ host, metric: sequence })),
      mark: { producer: 'agent', incarnation: 1, sequence, sentAtMs: 5 },
    })
    // no exchange is there yet: to be sent again
    await assert.rejects(exchange.sendMsg(msg(1, ['a'])), (error: ClientError) => error.retriable)
    const own = await instance('own', urls)
    const [channel, client] = await connected(urls[0])
    await declareInboxes(channel, topology)
    await client.close()
    own.inboxes.start()
    const hosts = Array.from({ length: 20 }, (_, index) => `host-${index}`)
    const all = Array.from({ length: 50 }, (_, index) => msg(index + 1, index % 2 === 0 ? hosts : [hosts[index % 20]]))
    assert.deepEqual(
      await Promise.all(all.map((one) => exchange.sendMsg(one))),
      all.map(() => ({ ok: true })),
    )
    assert.equal(exchange.current, 'RabbitMQ')
    const wanted = all.reduce((sum, { events }) => sum + events!.length, 0)
    // an inbox may give a record twice; under its mark it counts once
    const found = (msgs: readonly (readonly Uint8Array[])[]): Set<string> => {
      const all = msgs.flatMap((own, partition) =>
        own.flatMap((one) =>
          decodeMsg(one).events!.map(({ host, metric }) => {
            assert.equal(partition, partitionOf(host!, partitions), host)
            assert.equal(readMark(one)!.sequence, metric)
            return `${host} ${metric}`
          }),
        ),
      )
      return new Set(all)
    }
    const msgs = await read(own.log, (msgs) => found(msgs).size >= wanted)
    assert.deepEqual(
      [...found(msgs)].sort(),
      all.flatMap(({ events }) => events!.map(({ host, metric }) => `${host} ${metric}`)).sort(),
    )
    // what an inbox would put among the refused is refused here
    assert.match((await exchange.sendMsg({ query: 'true' })).error!, /ask an instance/)
    const large = { events: Array.from({ length: 50 }, () => ({ host: 'a', description: 'x'.repeat(60_000) })) }
    assert.match((await exchange.sendMsg({ ...msg(51, []), ...large })).error!, /too large: at most 2097152 bytes/)
    await exchange.destroy()
    await own.stop()
  })

  it('what the log refuses is kept, in its order, and is not acked before', async () => {
    const urls = rabbit.urls(await vhost())
    const kept: string[] = []
    let refusing = true
    let tries = 0
    let onTry = (): void => undefined
    const append = (_partition: number, records: readonly Uint8Array[]): Promise<void> => {
      tries++
      onTry()
      if (refusing) return Promise.reject(new ReplicaError('LOG_UNAVAILABLE', 'no room', true))
      for (const bytes of records) {
        const record = decodeRecord(bytes)
        if (record.kind !== 'events') continue
        kept.push(`${decodeMsg(record.msg).events![0].metric} ${readMark(record.msg)!.sequence}`)
      }
      return Promise.resolve()
    }
    const troubles: string[] = []
    const own = await instance('own', urls, { append, onTrouble: (what) => troubles.push(what) })
    // a key goes from one inbox to another while they are made
    const [declaring, declarer] = await connected(urls[0])
    await declareInboxes(declaring, topology)
    await declarer.close()
    own.inboxes.start()
    const publisher = new Foreign(urls, ['a'])
    await publisher.more(5)
    while (tries < 3) await new Promise<void>((resolve) => (onTry = resolve))
    await publisher.stop()
    const count = publisher.count
    assert.ok(own.inboxes.waiting > 0 && own.inboxes.waiting <= 2 * inboxPrefetch)
    assert.deepEqual(troubles, ['records of the inboxes wait: no room'])
    refusing = false
    /** In the order of their first coming: where a channel was lost meanwhile, some come twice. */
    const counts = (): Set<string> => new Set(kept.map((one) => one.split(' ')[0]))
    while (counts().size < count) await new Promise<void>((resolve) => (onTry = () => setImmediate(resolve)))
    assert.deepEqual(
      [...counts()].slice(0, count),
      Array.from({ length: count }, (_, index) => `${index}`),
    )
    assert.deepEqual(
      kept.map((one) => Number(one.split(' ')[1])),
      Array.from({ length: kept.length }, (_, index) => index + 1),
    )
    await own.stop()
    assert.equal(own.inboxes.waiting, 0)
    const [channel, client] = await connected(urls[0])
    for (let inbox = 0; inbox < topology.inboxes; inbox++) {
      assert.equal((await channel.queueDeclare(inboxOf(inbox), { passive: true })).messageCount, 0, 'all were acked')
    }
    await client.close()
  })

  it('a canary comes back by that way, and tells where it is broken', async () => {
    const name = await vhost()
    const urls = rabbit.urls(name)
    const own = await instance('own', urls)
    own.inboxes.start()
    const sender = new EventsSender({ urls, name: 'own', clock: nodeClock, topology })
    /** What the next canary says; each is a new one, for an alarm is told once. */
    const said = (): Promise<string> =>
      new Promise((resolve) => {
        const tell = (what: string): void => {
          canary.stop()
          resolve(what)
        }
        const canary = new Canary({
          producer: `own/canary ${canaries++}`,
          clock: nodeClock,
          partitions: () => [1, 3],
          route: (key) => partitionOf(key, partitions),
          send: (key, msg) => sender.send(key, msg),
          watch: (partition, listener) => own.log.watch(partition, listener),
          onRoundTrip: () => tell('came back'),
          onAlarm: tell,
          timeoutMs: 4_000,
        })
        canary.start()
      })
    let canaries = 0
    // on a busy machine a broker may take longer than it has
    for (let what = ''; what !== 'came back';) what = await said()
    // nobody empties the inboxes
    await own.inboxes.stop()
    for (let what = ''; !/event[^]*was confirmed by a broker, and was not read there/.test(what);) what = await said()
    await Promise.all([sender.close(), own.stop()])
  })

  it('what is published while no inbox is bound is returned, and binds them anew', async () => {
    const name = await vhost()
    const sender = new EventsSender({ urls: rabbit.urls(name), name: 'own', clock: nodeClock, topology })
    /** On a busy machine a broker may take longer than it has. */
    const sent = async (count: number): Promise<void> => {
      await sender.send('a', event('a', count)).catch(() => sent(count))
    }
    await sent(1)
    for (let inbox = 0; inbox < topology.inboxes; inbox++) {
      const path = `/bindings/${name}/e/${eventsExchange}/q/${inboxOf(inbox)}/1`
      const { status, text } = await rabbit.api(0, path, { method: 'DELETE' })
      assert.equal(status, 204, text)
    }
    await assert.rejects(sender.send('a', event('a', 2)), { code: 'LOG_UNAVAILABLE', message: /no inbox is bound/ })
    await sent(3)
    await sender.close()
  })

  it('a publisher of others needs the right to write to the exchange alone, an instance those to its own names', async () => {
    const name = await vhost()
    const names = String.raw`^ricci\.`
    const [foreign, own] = ['foreign', 'own'].map((user) => ({ name: user, password: `${user} secret` }))
    await rabbit.user(foreign, name, { configure: '^$', write: String.raw`^ricci\.events$`, read: '^$' })
    await rabbit.user(own, name, { configure: names, write: names, read: names })
    const ours = await instance('own', rabbit.urls(name, own))
    ours.inboxes.start()
    const publisher = new Foreign(rabbit.urls(name, foreign), ['a'])
    await publisher.more(3)
    await publisher.stop()
    const msgs = await read(ours.log, (msgs) => msgs.flat().length >= publisher.count)
    assert.ok(msgs[partitionOf('a', partitions)].length >= publisher.count)
    const refusal = async (act: (channel: AMQPChannel) => Promise<unknown>): Promise<void> => {
      const [channel, client] = await connected(rabbit.url(0, name, foreign))
      await channel.confirmSelect()
      await assert.rejects(act(channel), /ACCESS_REFUSED/)
      await client.close()
    }
    await refusal((channel) => channel.basicPublish('ricci.log', '0', 'x'))
    await refusal((channel) => channel.basicPublish('', inboxOf(0), 'x'))
    await refusal((channel) => channel.basicConsume(inboxOf(0), { noAck: false }, () => undefined))
    await refusal((channel) => channel.queueDeclare('ricci.inbox.9', { durable: true }))
    await ours.stop()
  })
})

/** A channel that says nothing by itself, and its connection. */
async function connected(url: string): Promise<[AMQPChannel, PlainClient]> {
  const client = new PlainClient(url)
  await client.connect()
  const channel = await client.channel()
  channel.onerror = () => undefined
  return [channel, client]
}
