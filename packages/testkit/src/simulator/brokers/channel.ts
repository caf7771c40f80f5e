import { logExchange, refusedName } from 'ricci/cluster'
import type { StoredRecord } from '@ricci/replica'
import type { SimClient } from './client.ts'
import type { InboxConsumer, Posted, SimInbox } from './inbox.ts'
import type { SimStream, StreamReader } from './stream.ts'

/** What of a delivery the product looks at. */
interface Message {
  readonly properties: { readonly headers: { 'x-stream-offset'?: number }; readonly messageId: string | undefined }
  readonly routingKey: string
  readonly body: Uint8Array
  readonly deliveryTag: number
}

/** A reader that asks for the newest begins with the last chunk: so many records at most. */
const chunk = 10

/** Ids travel beside the records' bytes, which are all that the log itself keeps. */
const ids = new WeakMap<Uint8Array, string>()

/** A channel, in place of the library's. */
export class SimChannel {
  closed = false
  onerror: (reason: string) => void = () => undefined
  onReturn: (message: { readonly replyText: string }) => void = () => undefined
  readonly #client: SimClient
  /** Questions and confirms that have not been answered. */
  readonly #waiting = new Set<(why: Error) => void>()
  readonly #readers = new Set<Reader>()
  readonly #posted = new Map<number, Posted>()
  #consuming: { readonly inbox: SimInbox; readonly consumer: InboxConsumer } | undefined
  #credit = 0
  #tag = 0

  constructor(client: SimClient) {
    this.#client = client
  }

  open(): Promise<void> {
    return this.#ask(() => undefined)
  }

  basicQos(credit: number): Promise<void> {
    this.#credit = credit
    return this.#ask(() => undefined)
  }

  confirmSelect(): Promise<void> {
    return this.#ask(() => undefined)
  }

  exchangeDeclare(): Promise<void> {
    return this.#ask(() => undefined)
  }

  queueDeclare(name: string): Promise<{ readonly messageCount: number }> {
    return this.#ask(() => {
      const { brokers } = this.#client
      const inbox = brokers.inbox(name)
      if (inbox !== undefined) return { messageCount: inbox.readyCount }
      return { messageCount: name === refusedName ? 0 : this.#stream(name).count() }
    })
  }

  queueBind(name: string): Promise<void> {
    return this.#ask(() => {
      if (name === refusedName || this.#client.brokers.inbox(name) !== undefined) return
      const stream = this.#stream(name)
      if (!stream.bound && !stream.bindable) throw new Error(`ACCESS_REFUSED - access to queue '${name}' refused`)
      stream.bound = true
    })
  }

  basicConsume(
    name: string,
    { args }: { readonly args?: { readonly 'x-stream-offset': number | 'first' | 'last' | Date } },
    callback: (message: Message) => void,
  ): Promise<{ wait(): Promise<void> }> {
    let fail: (why: Error) => void = () => undefined
    const ended = new Promise<void>((_resolve, reject) => (fail = reject))
    ended.catch(() => undefined)
    this.#waiting.add(fail)
    return this.#ask(() => {
      const { broker, brokers } = this.#client
      const inbox = brokers.inbox(name)
      if (inbox !== undefined) {
        this.#consume(inbox, callback)
        return { wait: () => ended }
      }
      const stream = this.#stream(name)
      const from = args!['x-stream-offset']
      if (broker.refusesReaders) throw new Error('INTERNAL_ERROR')
      if (broker.servesFromMs > brokers.world.nowMs) {
        throw new Error(`PRECONDITION_FAILED - stream ${name} does not have a replica on the local node`)
      }
      const reader = new Reader(this.#client, stream, this.#offset(stream, from), this.#credit, (records) => {
        for (const { offset, bytes } of records) {
          if (this.closed) return
          const properties = { headers: { 'x-stream-offset': offset }, messageId: ids.get(bytes) }
          callback({ properties, body: bytes, deliveryTag: ++this.#tag, routingKey: '' })
        }
      })
      this.#readers.add(reader)
      stream.readers.add(reader)
      reader.wake()
      return { wait: () => ended }
    })
  }

  basicAck(tag: number): Promise<void> {
    if (this.closed) return Promise.reject(new Error('the channel is closed'))
    this.#client.toBroker.send(() => {
      for (const reader of this.#readers) reader.acked(tag)
      this.#settle(tag)
    })
    return Promise.resolve()
  }

  basicNack(tag: number): Promise<void> {
    if (this.closed) return Promise.reject(new Error('the channel is closed'))
    this.#client.toBroker.send(() => this.#settle(tag))
    return Promise.resolve()
  }

  #consume(inbox: SimInbox, callback: (message: Message) => void): void {
    const { broker, process, toClient } = this.#client
    const consumer: InboxConsumer = {
      broker,
      credit: this.#credit,
      isAlive: () => !this.closed && process.alive,
      give: (posted) =>
        toClient.send(() => {
          if (this.closed) return
          const deliveryTag = ++this.#tag
          this.#posted.set(deliveryTag, posted)
          const properties = { headers: {}, messageId: undefined }
          callback({ properties, body: posted.body, deliveryTag, routingKey: posted.key })
        }),
    }
    inbox.attach(consumer)
    this.#consuming = { inbox, consumer }
  }

  #settle(tag: number): void {
    const posted = this.#posted.get(tag)
    if (posted === undefined || this.#consuming === undefined) return
    this.#posted.delete(tag)
    this.#consuming.inbox.settle(this.#consuming.consumer, posted)
  }

  basicPublish(
    exchange: string,
    key: string,
    record: Uint8Array,
    { messageId }: { readonly messageId?: string },
  ): Promise<number> {
    const client = this.#client
    if (client.blocked !== undefined) {
      return Promise.reject(new Error(`Connection blocked by server: ${client.blocked}`))
    }
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error('the channel is closed'))
      this.#waiting.add(reject)
      const answer = (done: () => void): void =>
        client.toClient.send(() => {
          if (this.#waiting.delete(reject)) done()
        })
      // The log keeps its own: what comes again is another record.
      const bytes = record.slice()
      if (messageId !== undefined) ids.set(bytes, messageId)
      client.toBroker.send(() => {
        const stream = exchange === logExchange ? client.brokers.routed(key) : undefined
        if (stream?.bound !== true) {
          stream?.onReturned(bytes)
          answer(() => this.onReturn({ replyText: 'NO_ROUTE' }))
          return answer(() => resolve(0))
        }
        stream.publish(client.broker, {
          record: bytes,
          confirm: () => answer(() => resolve(0)),
          refuse: (why) => answer(() => reject(new Error(why))),
        })
      })
    })
  }

  close(): Promise<void> {
    if (this.closed) return Promise.reject(new Error('the channel is closed'))
    this.#leave()
    this.#client.forget(this)
    return new Promise((resolve) => this.#client.toBroker.send(() => this.#client.toClient.send(resolve)))
  }

  /** Its connection, or the broker, ended it. */
  setClosed(why: Error): void {
    if (this.closed) return
    this.#leave()
    for (const reject of this.#waiting) reject(why)
    this.#waiting.clear()
  }

  #leave(): void {
    this.closed = true
    for (const reader of this.#readers) reader.end()
    this.#readers.clear()
    this.#consuming?.inbox.detach(this.#consuming.consumer)
    this.#consuming = undefined
  }

  /** Asks the broker; an error there ends the channel. */
  #ask<T>(give: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error('the channel is closed'))
      this.#waiting.add(reject)
      this.#client.toBroker.send(() => {
        let done: () => void
        try {
          const given = give()
          done = () => resolve(given)
        } catch (error) {
          done = () => {
            reject(error as Error)
            this.onerror((error as Error).message)
            this.setClosed(error as Error)
          }
        }
        this.#client.toClient.send(() => {
          if (this.#waiting.delete(reject)) done()
        })
      })
    })
  }

  #stream(name: string): SimStream {
    const stream = this.#client.brokers.stream(name)
    if (stream === undefined) throw new Error(`NOT_FOUND - no queue '${name}'`)
    return stream
  }

  /** Where reading begins: below the oldest that is left, with that, without a word. */
  #offset(stream: SimStream, from: number | 'first' | 'last' | Date): number {
    const end = stream.end(this.#client.broker)
    if (from === 'first') return stream.first
    if (from === 'last') return Math.max(stream.first, end - chunk)
    if (typeof from === 'number') return Math.max(stream.first, from)
    const { world } = this.#client.brokers
    return stream.offsetAt(from.getTime() - (world.clock.wallMs() - world.nowMs))
  }
}

/** One consumer: so many records under way as it may have unacknowledged. */
class Reader implements StreamReader {
  silent = false
  #next: number
  #given = 0
  #acked = 0
  #waking = false
  #ended = false

  constructor(
    private readonly client: SimClient,
    private readonly stream: SimStream,
    from: number,
    private readonly credit: number,
    private readonly onRecords: (records: readonly StoredRecord[]) => void,
  ) {
    this.#next = from
  }

  get broker(): SimClient['broker'] {
    return this.client.broker
  }

  get machine(): string {
    return this.client.machine
  }

  wake(): void {
    if (!this.client.process.alive) return this.end()
    if (this.#waking || this.#ended || this.silent || this.#count() === 0) return
    this.#waking = true
    const { broker, brokers, toClient } = this.client
    brokers.world.after(brokers.followMs(), () => {
      this.#waking = false
      const count = this.#count()
      if (this.#ended || this.silent || count === 0 || !broker.process.running) return
      const records = this.stream.log.records.slice(this.#next, this.#next + count)
      this.#next += count
      this.#given += count
      toClient.send(() => this.onRecords(records))
      this.wake()
    })
  }

  /** Everything up to a delivery, in the channel's counting, which is this reader's own: it has no other. */
  acked(tag: number): void {
    this.#acked = Math.max(this.#acked, tag)
    this.wake()
  }

  end(): void {
    this.#ended = true
    this.stream.readers.delete(this)
  }

  #count(): number {
    return Math.min(this.credit - (this.#given - this.#acked), this.stream.end(this.broker) - this.#next)
  }
}
