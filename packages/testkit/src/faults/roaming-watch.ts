/** Somebody who watches the index of a cluster: at one instance, then at another, where it goes on from the place that the first gave it. */
import { WebSocket } from 'ws'

/** An event as it is told, in either shape. */
export interface ToldEvent {
  readonly service: string | null
  readonly state?: string | null
  readonly metric?: number | null
  readonly description?: string | null
}

/** How one watches. */
export type WatchKind = 'server-sent events' | 'lines' | 'WebSocket'

export class RoamingWatch {
  /** In the order in which they came, from all instances. */
  readonly told: ToldEvent[] = []
  /** Resolves when the instance is gone, or was left. */
  gone: Promise<void> = Promise.resolve()
  private place = ''
  private leaving = new AbortController()
  private wake = (): void => undefined

  constructor(
    readonly kind: WatchKind,
    private readonly query: string,
  ) {}

  /** Resolves once an instance that listens on a port has said where the watch stands. */
  async watch(port: number): Promise<void> {
    this.leaving = new AbortController()
    const { signal } = this.leaving
    const asked = `query=${encodeURIComponent(this.query)}`
    const from = `from=${encodeURIComponent(this.place)}`
    let reading: Promise<void>
    const stood = new Promise<void>((resolve) => (this.stands = resolve))
    if (this.kind === 'WebSocket') {
      reading = this.readSocket(new WebSocket(`ws://127.0.0.1:${port}/index?subscribe=true&${asked}&${from}`), signal)
    } else {
      const isSse = this.kind === 'server-sent events'
      const url = `http://127.0.0.1:${port}${isSse ? `/index?${asked}` : `/api/v1/watch?${asked}&${from}`}`
      const headers: Record<string, string> = isSse && this.place !== '' ? { 'last-event-id': this.place } : {}
      const { status, body } = await fetch(url, { headers, signal })
      if (status !== 200) throw new Error(`${url}: ${status}`)
      reading = this.readBody(body!, isSse ? '\n\n' : '\n', isSse ? takenOfBlock : takenOfText)
    }
    this.gone = reading.catch(() => undefined)
    await Promise.race([stood, this.gone])
  }

  /** Resolves when something was told. */
  async until(holds: (event: ToldEvent) => boolean): Promise<void> {
    while (!this.told.some(holds)) await new Promise<void>((resolve) => (this.wake = resolve))
  }

  async leave(): Promise<void> {
    this.leaving.abort()
    await this.gone
  }

  private stands = (): void => undefined

  private take({ at, event }: Taken): void {
    if (event !== undefined) this.told.push(event)
    if (at !== undefined) {
      this.place = at
      this.stands()
    }
    this.wake()
  }

  private async readBody(body: AsyncIterable<Uint8Array>, end: string, taken: (text: string) => Taken): Promise<void> {
    const decoder = new TextDecoder()
    let text = ''
    for await (const part of body) {
      const parts = (text + decoder.decode(part, { stream: true })).split(end)
      text = parts.pop()!
      for (const one of parts) if (one !== '') this.take(taken(one))
    }
  }

  private async readSocket(socket: WebSocket, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => socket.terminate(), { once: true })
    socket.on('message', (data: Buffer) => this.take(takenOfText(data.toString())))
    socket.on('error', () => undefined)
    await new Promise<void>((resolve) => socket.on('close', () => resolve()))
  }
}

/** An event and the place after it; one of them may be missing. */
interface Taken {
  readonly at?: string
  readonly event?: ToldEvent
}

function takenOfText(text: string): Taken {
  return JSON.parse(text) as Taken
}

function takenOfBlock(block: string): Taken {
  const [, at] = /^id: (.*)$/m.exec(block) ?? []
  const [, data] = /^data: (.*)$/m.exec(block) ?? []
  return { at, ...(data !== undefined && { event: JSON.parse(data) as ToldEvent }) }
}
