import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Event, encodeMsg, frame } from '@ricci/client'
import type { Incident, Incidents } from '@ricci/engine'
import { builtProgram } from './built.ts'
import { Daemon } from './daemon.ts'
import { LoadGenerator } from './load.ts'
import { figuresOf, yardstickSamples, type Benchmark } from './measure.ts'

const rules = (escalateSeconds: number): string => `import { incident, index, notify, rules, where } from 'ricci'
const escalate = [{ after: ${escalateSeconds}, to: 'lead' }]
export default rules(
  where('service = "watched"', index(), incident('silent', { bad: 'state = "expired"', to: 'oncall', key: 'host' })),
  where('service = "bad"', incident('bad', { to: 'oncall', key: 'host', escalate })),
  where('service = "told"', notify('oncall', { name: 'told' })),
)
`

/** How often the main thread is asked whether it turns. */
const lookMs = 20
/** How often what is waited for is looked for. */
const pollMs = 250

export const benchmark: Benchmark = {
  about: 'the built program while 100,000 incidents open at once, by one message, many, a tick; are escalated and end',
  async run({ tiny = false }) {
    const count = tiny ? 500 : 100_000
    const [escalateSeconds, ttlSeconds] = tiny ? [1, 1] : [15, 5]
    const yard = await yardstickSamples(tiny ? 1 : 5)
    const receiver = createServer((request, response) => {
      request.resume().on('end', () => response.end('{}'))
    })
    receiver.listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
    const daemon = await Daemon.start(rules(escalateSeconds), {
      receivers: { oncall: { type: 'webhook', url }, lead: { type: 'webhook', url } },
    })
    const generator = await LoadGenerator.connect(daemon.port, 1, 64)
    const samples: { name: string; samples: number[] }[] = []
    const phases: (string | number)[][] = []
    const commands: (string | number)[][] = []
    const watched = async (name: string, what: () => Promise<void>): Promise<void> => {
      const look = new Looks(daemon.url)
      const cpuNs = daemon.cpuNs()
      const beganMs = performance.now()
      const doneMs = await what()
        .then(() => daemon.applied())
        .then(() => performance.now())
        .finally(() => look.end())
      const spentNs = daemon.cpuNs() - cpuNs
      const wallMs = doneMs - beganMs
      const longestMs = await look.end()
      samples.push({ name, samples: [spentNs / count] })
      phases.push([name, ms(spentNs / 1e6), ms(wallMs), ms(longestMs), mb(daemon.residentBytes())])
    }
    const run = async (...args: string[]): Promise<void> => {
      const cpuNs = daemon.cpuNs()
      const beganMs = performance.now()
      const lines = await linesOf([...args, '--url', daemon.url])
      commands.push([
        `ricci ${args.join(' ')}`,
        ms(performance.now() - beganMs),
        ms((daemon.cpuNs() - cpuNs) / 1e6),
        lines,
      ])
    }
    const send = (service: string, state: string, perMessage: number, ttl?: number) => async () => {
      const messages: Uint8Array[] = []
      for (let from = 0; from < count; from += perMessage) {
        const events = Array.from({ length: Math.min(perMessage, count - from) }, (_, i): Event => {
          const host = `host-${from + i}.cluster-${(from + i) % 100}.example`
          return { host, service, state, metric: 0.93, tags: ['flood'], ...(ttl === undefined ? {} : { ttl }) }
        })
        messages.push(frame(encodeMsg({ events })))
      }
      await generator.send(messages)
    }
    try {
      phases.push(['before', '', '', '', mb(daemon.residentBytes())])
      await watched('opened by two messages', send('bad', 'critical', count / 2))
      await watched('escalated at one tick', () => untilOpen(daemon.url, 'bad', ({ escalated }) => escalated > 0))
      await run('incidents', 'list')
      await run('incidents', 'list', '-o', 'json')
      await run('status')
      await watched('resolved by two messages', send('bad', 'ok', count / 2))
      await watched('opened by 100 messages', send('bad', 'critical', count / 100))
      await watched('resolved by 100 messages', send('bad', 'ok', count / 100))
      await watched('watched, for a while', send('watched', 'ok', count / 100, ttlSeconds))
      await watched('silent at one tick', () => untilOpen(daemon.url, 'silent', () => true))
      await run('incidents', 'list', '--rule', 'silent')
      await watched('back by 100 messages', send('watched', 'ok', count / 100, 600))
      await watched('told of by two messages', send('told', 'critical', count / 2))
      await run('incidents', 'list')
      await run('incidents', 'list', '--closed')
      const generation = await daemon.metric('ricci_engine_generation')
      return {
        figures: figuresOf(yard, samples),
        tables: [
          {
            title: `${count.toLocaleString('en')} incidents; "stall" is the longest that the main thread did not answer`,
            columns: ['what', 'CPU ms', 'until applied ms', 'stall ms', 'resident MB'],
            rows: phases,
          },
          { title: 'Commands meanwhile', columns: ['command', 'ms', "server's CPU ms", 'lines'], rows: commands },
        ],
        notes: [generation === 1 ? 'no engine was replaced' : `${generation - 1} engines were replaced`],
      }
    } finally {
      await generator.close()
      await daemon.stop()
      receiver.closeAllConnections()
      receiver.close()
    }
  },
}

/** Resolves once the oldest open incident of a rule is like that. */
async function untilOpen(url: string, rule: string, isSo: (incident: Incident) => boolean): Promise<void> {
  for (;;) {
    const answer = await fetch(`${url}/api/v1/incidents?rule=${rule}&kind=open&limit=1&brief=true`)
    const { incidents, error } = (await answer.json()) as { incidents?: Incidents; error?: string }
    if (incidents?.open.some(isSo) === true) return
    // an engine that is busy says so
    if (incidents === undefined && answer.status !== 202) throw new Error(`${answer.status}: ${error}`)
    await sleep(pollMs)
  }
}

/** Asks for the health of a server, again and again. */
class Looks {
  private stopped = false
  private readonly done: Promise<number>

  constructor(url: string) {
    this.done = this.look(`${url}/healthz`)
  }

  /** Milliseconds of the longest answer. */
  end(): Promise<number> {
    this.stopped = true
    return this.done
  }

  private async look(url: string): Promise<number> {
    let longestMs = 0
    while (!this.stopped) {
      const beganMs = performance.now()
      await (await fetch(url)).text()
      longestMs = Math.max(longestMs, performance.now() - beganMs)
      await sleep(lookMs)
    }
    return longestMs
  }
}

async function linesOf(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [builtProgram('ricci'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let lines = 0
  child.stdout.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) lines++
  })
  await once(child, 'close')
  return lines
}

function ms(value: number): string {
  return value.toFixed(0)
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
