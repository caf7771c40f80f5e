import { request, type IncomingMessage } from 'node:http'
import { performance } from 'node:perf_hooks'
import { once } from 'node:events'
import { RiemannTcpClient } from '@ricci/client'
import { index, rules as rulesOf } from '@ricci/engine'
import { Daemon } from './daemon.ts'
import { EngineFeed } from './feed.ts'
import { Fleet } from './fleet.ts'
import { framed, LoadGenerator } from './load.ts'
import { figuresOf, median, ownMs, yardstickSamples, type Benchmark } from './measure.ts'

const rules = `import { index, rules } from 'ricci'
export default rules(index())
`

export const benchmark: Benchmark = {
  about: 'the query `true` over 150,000 keys as JSON: its first byte, and how long events wait to be applied meanwhile',
  async run({ quick, tiny = false }) {
    const daemon = await Daemon.start(rules)
    const client = new RiemannTcpClient({ port: daemon.port, timeoutMs: 60_000 })
    try {
      const fleet = new Fleet({ hosts: tiny ? 2 : 500, startSeconds: Math.floor(Date.now() / 1000) })
      const generator = await LoadGenerator.connect(daemon.port, 4, 4)
      await generator.send(framed(fleet.nextMessages(3_000)))
      await generator.close()
      await daemon.applied()
      const answers: Answer[] = []
      const beside: number[] = []
      const alone: number[] = []
      const cpuNs: number[] = []
      for (let n = 0; n < (tiny ? 1 : quick ? 5 : 30); n++) {
        const before = daemon.cpuNs()
        const asked = ask(daemon.url)
        let over = false
        void asked.then(() => (over = true))
        const waits: number[] = []
        do waits.push(await applied(client, n))
        while (!over)
        beside.push(Math.max(...waits))
        answers.push(await asked)
        cpuNs.push((daemon.cpuNs() - before) / fleet.keys)
        // as long without it
        const quiet: number[] = []
        while (quiet.length < waits.length) quiet.push(await applied(client, n))
        alone.push(Math.max(...quiet))
      }
      const [{ bytes }] = answers
      const row = (what: string, ms: readonly number[]): (string | number)[] => [
        what,
        ...[Math.min(...ms), median(ms), Math.max(...ms)].map((value) => value.toFixed(1)),
      ]
      return {
        figures: figuresOf(await yardstickSamples(tiny ? 1 : 5), [{ name: 'an event of the answer', samples: cpuNs }]),
        tables: [
          {
            title: `milliseconds, of ${answers.length} answers of ${(bytes / 1e6).toFixed(1)} MB each`,
            columns: ['what', 'min', 'median', 'max'],
            rows: [
              row(
                'until its first event',
                answers.map(({ firstMs }) => firstMs),
              ),
              row(
                'until its end',
                answers.map(({ wholeMs }) => wholeMs),
              ),
              row('an event durable, applied and found, the longest beside each', beside),
              row('the same, as often, without it', alone),
              row("a page of the answer: the engine's thread applies nothing meanwhile", pages(tiny ? 2 : 500)),
            ],
          },
        ],
      }
    } finally {
      await client.close()
      await daemon.stop()
    }
  },
}

/** As the engine's worker makes them, for as long as nothing else is done there: rows looked at, events, their JSON. */
const pageEvents = 2_000
const pageBudget = 20_000

/** What each page takes this thread, in ms, code compiled. */
function pages(hosts: number): number[] {
  const fleet = new Fleet({ hosts })
  const feed = new EngineFeed(rulesOf(index()))
  const messages = fleet.nextMessages(3_000)
  feed.round(messages, messages.length)
  const { engine } = feed
  const encoder = new TextEncoder()
  const ms: number[] = []
  for (let round = 0; round < 4; round++) {
    for (let cursor: number | undefined = 0; cursor !== undefined;) {
      const taken = ownMs()
      const page: ReturnType<typeof engine.query> = engine.query('true', {
        limit: pageEvents,
        budget: pageBudget,
        cursor,
      })
      encoder.encode(page.events.map((event) => JSON.stringify(event)).join(',\n'))
      if (round > 0) ms.push(taken())
      cursor = page.nextCursor
    }
  }
  return ms
}

interface Answer {
  readonly firstMs: number
  readonly wholeMs: number
  readonly bytes: number
}

/** What begins an answer, before its first event. */
const head = '{"events":['

async function ask(url: string): Promise<Answer> {
  const began = performance.now()
  const asked = request(`${url}/api/v1/query?query=true`, { agent: false }).end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  let bytes = 0
  let firstMs = NaN
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length
    if (Number.isNaN(firstMs) && bytes > head.length) firstMs = performance.now() - began
  }
  return { firstMs, wholeMs: performance.now() - began, bytes }
}

/** Sends an event, and asks for it: the answer comes once it is durable and applied. Gives how long that took, in ms. */
async function applied(client: RiemannTcpClient, metric: number): Promise<number> {
  const time = Math.floor(Date.now() / 1000)
  const began = performance.now()
  const { ok } = await client.sendMsg({
    events: [{ host: 'probe', service: 'probe', metric, time, ttl: 3_600 }],
    query: 'host = "probe" and service = "probe"',
  })
  if (ok !== true) throw new Error('an event was not acknowledged')
  return performance.now() - began
}
