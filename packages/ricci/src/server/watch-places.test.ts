// Who watches and comes again goes on where it was: by server-sent events, over a WebSocket, line by line.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { Bench } from './testing.ts'

/** What a client was told last, and where it goes on. */
interface Told {
  readonly event?: { readonly service: string; readonly metric?: number; readonly description?: string }
  readonly at?: string
}

/** A client that has connected. */
interface Watch {
  next(): Promise<Told>
  leave(): void
}

/** Connects, from a place on. */
type Connect = (from?: string) => Promise<Watch>

async function begin(context: TestContext) {
  const bench = new Bench()
  context.after(() => bench.close())
  const server = bench.server()
  const { tcp, http } = await server.start()
  await server.ready()
  const client = bench.client(tcp)
  const send = (...metrics: number[]) =>
    client.send(metrics.map((metric) => ({ host: 'a', service: 'load', metric, ttl: 600 })))
  const query = encodeURIComponent('service = "load"')
  const placed = (from = '') => `&from=${encodeURIComponent(from)}`
  const told = (text: string): Told => JSON.parse(text) as Told
  const lines = async (path: string, headers: Record<string, string>, end: string): Promise<AsyncWatch> => {
    const gone = new AbortController()
    const { body } = await fetch(`http://${http}${path}`, { signal: gone.signal, headers })
    return { parts: partsOf(body!, end), gone }
  }
  const sse =
    (path: string): Connect =>
    async (from) => {
      const headers = { accept: 'text/event-stream', ...(from && { 'last-event-id': from }) }
      const { parts, gone } = await lines(`${path}?query=${query}`, headers, '\n\n')
      const next = async (): Promise<Told> => {
        const block = (await parts.next()).value!
        const [, at] = /^id: (.*)$/m.exec(block) ?? []
        const [, data] = /^data: (.*)$/m.exec(block) ?? []
        return { at, ...(data !== undefined && { event: JSON.parse(data) as Told['event'] }) }
      }
      return { next, leave: () => gone.abort() }
    }
  const socket =
    (path: string): Connect =>
    async (from) => {
      const open = new WebSocket(`ws://${http}${path}query=${query}${placed(from)}`)
      context.after(() => open.terminate())
      const texts: string[] = []
      let wake = (): void => undefined
      open.on('message', (data: Buffer) => {
        texts.push(data.toString())
        wake()
      })
      const next = async (): Promise<Told> => {
        while (texts.length === 0) await new Promise<void>((resolve) => (wake = resolve))
        return told(texts.shift()!)
      }
      return { next, leave: () => open.terminate() }
    }
  const plain: Connect = async (from) => {
    const { parts, gone } = await lines(`/api/v1/watch?query=${query}${placed(from)}`, {}, '\n')
    return { next: async () => told((await parts.next()).value!), leave: () => gone.abort() }
  }
  const connects: Record<string, Connect> = {
    '/index, server-sent events': sse('/index'),
    '/api/v1/watch, server-sent events': sse('/api/v1/watch'),
    '/index, WebSocket': socket('/index?subscribe=true&'),
    '/pubsub/index, WebSocket': socket('/pubsub/index?'),
    '/api/v1/watch': plain,
  }
  return { send, connects }
}

interface AsyncWatch {
  readonly parts: AsyncGenerator<string, undefined>
  readonly gone: AbortController
}

async function* partsOf(body: AsyncIterable<Uint8Array>, end: string): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const part of body) {
      const parts = (text + decoder.decode(part, { stream: true })).split(end)
      text = parts.pop()!
      for (const one of parts) if (one !== '') yield one
    }
  } catch {
    // aborted
  }
}

describe('who watches and comes again', () => {
  it('is told what changed since, each once, wherever in a page it left', async (context) => {
    const { send, connects } = await begin(context)
    await send(0)
    for (const [name, connect] of Object.entries(connects)) {
      const first = await connect()
      let at: string | undefined
      // what stands before the first change: states have no place
      while (at === undefined) ({ at } = await first.next())
      await send(1, 2, 3, 4)
      let told: Told
      do {
        told = await first.next()
        at = told.at ?? at
      } while (told.event?.metric !== 2)
      first.leave()
      await send(5)
      const again = await connect(at)
      const metrics: (number | undefined)[] = []
      while (metrics.at(-1) !== 5) {
        const { event } = await again.next()
        if (event !== undefined) metrics.push(event.metric)
      }
      assert.deepEqual(metrics, [3, 4, 5], name)
      again.leave()
    }
  })

  it('from a place that says nothing here is told so, and all that matches where that is what it asks for', async (context) => {
    const { send, connects } = await begin(context)
    await send(7)
    for (const [name, connect] of Object.entries(connects)) {
      for (const from of ['other/0:1', 'nonsense']) {
        const watch = await connect(from)
        const { event } = await watch.next()
        assert.match(event!.description!, /^what changed since the place that was given is missing/, name)
        if (name.startsWith('/index')) assert.equal((await watch.next()).event!.metric, 7, name)
        watch.leave()
      }
    }
  })

  it('from a place that is forgotten is told what is missing, and all that matches', async (context) => {
    const { send, connects } = await begin(context)
    await send(7)
    const watch = await connects['/index, server-sent events']()
    let at: string | undefined
    while (at === undefined) ({ at } = await watch.next())
    watch.leave()
    const again = await connects['/index, server-sent events'](at.replace(/\/.*/, '/0:0'))
    assert.equal((await again.next()).event, undefined, 'where it begins')
    const missing = await again.next()
    assert.match(missing.event!.description!, /^changes by the records 0 to \d+ are missing here: they are older/)
    assert.equal(missing.at, undefined)
    assert.equal((await again.next()).event!.metric, 7)
    assert.notEqual((await again.next()).at, undefined)
    again.leave()
  })
})
