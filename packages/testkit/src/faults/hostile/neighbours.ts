/** Clients that behave: each is served while others do not, and finds in the index what it sent. */
import { connect, type Socket } from 'node:net'
import { connect as secure } from 'node:tls'
import { encodeMsg, frame, FrameReader, RiemannTcpClient, RiemannUdpClient, decodeMsg, type Event } from '@ricci/client'
import { ask } from '../../servers/http.ts'
import { pause } from '../../servers/wait.ts'
import { connected } from './attempt.ts'
import { clientFrame, handShake } from './web-sockets.ts'

/** Where a server listens; ports of 127.0.0.1. */
export interface Listeners {
  readonly tcp: number
  readonly udp: number
  readonly tls: number
  readonly http: number
  readonly sse: number
  readonly graphite: number
  readonly opentsdb: number
}

/** How long each may wait for what it is due, however busy the machine is. */
const patienceMs = 60_000

/** A datagram may be lost in the kernel while others flood it: so often one is sent anew. */
const datagramTries = 50

const host = 'neighbour'

/** All of them, one of each kind. Whoever opens them closes them. */
export class Neighbours {
  /** Rounds in which all were served, and the longest that one of them waited, in ms. */
  rounds = 0
  longestMs = 0
  /** Datagrams they sent. */
  datagrams = 0
  private readonly tcp: RiemannTcpClient
  private readonly udp: RiemannUdpClient
  private round: Promise<void> = Promise.resolve()

  private constructor(
    private readonly listeners: Listeners,
    private readonly tls: Conversation,
    private readonly graphite: Conversation,
    private readonly openTsdb: Conversation,
    private readonly webSocket: Conversation,
    private readonly watchers: readonly Watcher[],
  ) {
    this.tcp = new RiemannTcpClient({ port: listeners.tcp, timeoutMs: patienceMs })
    this.udp = new RiemannUdpClient({ port: listeners.udp })
  }

  /** @param ca who signed the server's certificate */
  static async open(listeners: Listeners, ca: string): Promise<Neighbours> {
    const plain = async (port: number): Promise<Conversation> => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true })
      await connected(socket, 'connect')
      return new Conversation(socket)
    }
    const encrypted = secure({ host: '127.0.0.1', port: listeners.tls, ca, servername: 'localhost' })
    await connected(encrypted, 'secureConnect')
    const webSocket = await plain(listeners.http)
    webSocket.write(handShake('/events'))
    await webSocket.until((said) => said.includes('\r\n\r\n'))
    const watch = async (port: number, ask: Buffer): Promise<Watcher> => {
      const conversation = await plain(port)
      conversation.write(ask)
      await conversation.until((said) => said.includes('\r\n\r\n'))
      return new Watcher(conversation)
    }
    const query = encodeURIComponent(`host = "${host}"`)
    const get = (path: string): Buffer => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    return new Neighbours(
      listeners,
      new Conversation(encrypted),
      await plain(listeners.graphite),
      await plain(listeners.opentsdb),
      webSocket,
      [
        await watch(listeners.http, handShake(`/index?query=${query}&subscribe=true`)),
        await watch(listeners.sse, get(`/index?query=${query}`)),
        await watch(listeners.http, get(`/api/v1/watch?query=${query}`)),
      ],
    )
  }

  /** How many connections they keep: to Riemann's and line listeners, and to HTTP's. */
  readonly connections = { intake: 4, http: 1 + 3 }

  /** Each sends an event, and what it is due comes; one round after the other. @throws Error who was not served */
  serve(): Promise<void> {
    const round = this.round.then(() => this.serveAll())
    // one that failed keeps the next from nothing
    this.round = round.catch(() => undefined)
    return round
  }

  async close(): Promise<void> {
    await this.round
    await Promise.all([this.tcp.close(), this.udp.close()])
    const { tls, graphite, openTsdb, webSocket, watchers } = this
    await Promise.all([tls, graphite, openTsdb, webSocket, ...watchers].map((one) => one.close()))
  }

  private async serveAll(): Promise<void> {
    const metric = ++this.rounds
    const began = performance.now()
    const seconds = Math.floor(Date.now() / 1000)
    const event = (service: string): Event => ({ host, service, metric, time: seconds, ttl: 3_600 })
    const served = async (name: string, sent: Promise<void>): Promise<void> => {
      try {
        await sent
        await this.indexed(name, metric)
      } catch (error) {
        throw new Error(`who speaks ${name} was not served in round ${metric}: ${(error as Error).message}`, {
          cause: error,
        })
      }
    }
    await Promise.all([
      served('tcp', this.tcp.send(event('tcp'))),
      served('tls', this.overTls(event('tls'))),
      served('udp', this.overUdp(event('udp'))),
      served('http', this.overHttp(event('http'))),
      served('websocket', this.overWebSocket(event('websocket'))),
      served('graphite', this.line(this.graphite, `graphite;host=${host};ttl=3600 ${metric} ${seconds}\n`)),
      served('opentsdb', this.line(this.openTsdb, `put opentsdb ${seconds} ${metric} host=${host} ttl=3600\n`)),
    ])
    await this.tcp.send(event('all'))
    await Promise.all(this.watchers.map((watcher) => watcher.sees('all', metric)))
    this.longestMs = Math.max(this.longestMs, performance.now() - began)
  }

  /** Resolves once the index has it. */
  private async indexed(service: string, metric: number): Promise<void> {
    const deadlineMs = performance.now() + patienceMs
    const query = `host = "${host}" and service =~ "${service}%" and metric = ${metric}`
    while (!(await this.finds(query))) {
      if (performance.now() > deadlineMs) throw new Error('the index does not have its event')
      await pause()
    }
  }

  /** An engine that is behind says so after five seconds, and is asked again. */
  private async finds(query: string): Promise<boolean> {
    try {
      return (await this.tcp.query(query)).length > 0
    } catch (error) {
      if (/not evaluated yet/.test((error as Error).message)) return false
      throw error
    }
  }

  private async overTls(event: Event): Promise<void> {
    this.tls.write(frame(encodeMsg({ events: [event] })))
    const reader = new FrameReader()
    await this.tls.until((said) => said.length >= 6)
    reader.push(this.tls.take())
    const reply = reader.next()
    if (reply === undefined || decodeMsg(reply).ok !== true) throw new Error('its event was not acknowledged')
  }

  private async overUdp(event: Event): Promise<void> {
    for (let tries = 0; tries < datagramTries; tries++) {
      await this.udp.send(event)
      this.datagrams++
      await pause()
      if (await this.finds(`host = "${host}" and service = "udp" and metric = ${String(event.metric)}`)) return
    }
    throw new Error(`none of ${datagramTries} datagrams came through`)
  }

  private async overHttp(event: Event): Promise<void> {
    const url = `http://127.0.0.1:${this.listeners.http}`
    const taken = await ask(`${url}/api/v1/events`, { body: event, timeoutMs: patienceMs })
    if (taken.text !== '{"taken":1}') throw new Error(`its event was answered ${taken.status} ${taken.text}`)
    const health = await ask(`${url}/healthz`, { timeoutMs: patienceMs })
    if (health.status !== 200) throw new Error(`the server says of its health ${health.status}`)
  }

  private async overWebSocket(event: Event): Promise<void> {
    this.webSocket.take()
    this.webSocket.write(clientFrame(0x81, JSON.stringify(event)))
    const answer = Buffer.from([0x81, 2, 0x7b, 0x7d])
    await this.webSocket.until((said) => said.length >= answer.length && said.indexOf(answer) >= 0)
  }

  private async line(to: Conversation, line: string): Promise<void> {
    to.write(line)
  }
}

/** A WebSocket's frames without content. */
const ping = Buffer.from([0x89, 0])
const pong = clientFrame(0x8a, '')

/** A connection, and what was said on it that was not taken yet. */
class Conversation {
  private said: Buffer = Buffer.alloc(0)
  private over = false
  private wake = (): void => undefined

  constructor(private readonly socket: Socket) {
    socket.on('data', (part: Buffer) => {
      this.said = Buffer.concat([this.said, part])
      // as every WebSocket does; nothing else that is said has such bytes
      if (part.includes(ping)) socket.write(pong)
      this.wake()
    })
    socket.on('close', () => {
      this.over = true
      this.wake()
    })
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes)
  }

  /** Resolves once what was said is so. @throws Error when it takes too long, or the connection is closed */
  async until(isSo: (said: Buffer) => boolean): Promise<void> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.wake()
    }, patienceMs)
    try {
      while (!isSo(this.said)) {
        if (this.over) throw new Error('its connection was closed')
        if (late) throw new Error(`nothing came of it within ${patienceMs / 1000} s`)
        await new Promise<void>((resolve) => (this.wake = resolve))
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** What was said so far, which is forgotten. */
  take(): Buffer {
    const { said } = this
    this.said = Buffer.alloc(0)
    return said
  }

  async close(): Promise<void> {
    const closed = this.over || new Promise((resolve) => this.socket.once('close', resolve))
    this.socket.destroy()
    await closed
  }
}

/** Who watches what the neighbours send. */
class Watcher {
  constructor(private readonly conversation: Conversation) {}

  /** Resolves once it was told of it. */
  async sees(service: string, metric: number): Promise<void> {
    const told = new RegExp(`"service":"${service}"[^{}]*"metric":${metric}[,}]`)
    await this.conversation.until((said) => told.test(said.toString('latin1')))
    this.conversation.take()
  }

  close(): Promise<void> {
    return this.conversation.close()
  }
}
