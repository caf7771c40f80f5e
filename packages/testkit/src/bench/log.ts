import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { eventsHeaderLength, writeEventsHeader } from '@ricci/engine'
import { EmbeddedLog, LogFollower, nodeDisk } from 'ricci/embedded'
import { Fleet } from './fleet.ts'
import { compare, roundsFor, type Benchmark, type Contender } from './measure.ts'

/** Senders that wait for their ack before they send again: 10 connections with 4 messages in flight, 50 with 64 for single events. */
const loads = [
  { size: 3_000, inFlight: 40, hosts: 200 },
  { size: 100, inFlight: 40, hosts: 100 },
  { size: 1, inFlight: 3_200, hosts: 50 },
]

export const benchmark: Benchmark = {
  about: 'the embedded log on this disk: append until durable, and reading it back (checked) as the worker does',
  async run(options) {
    // Beside the code rather than in /tmp, which is often no disk at all.
    mkdirSync('.build', { recursive: true })
    const folder = mkdtempSync(join('.build', 'bench-log-'))
    const opened: { close(): void | Promise<void> }[] = []
    try {
      const contenders: Contender[] = []
      const notes: string[] = []
      for (const load of loads) {
        const fleet = new Fleet({ hosts: options.tiny === true ? 1 : load.hosts })
        const messages = fleet.nextMessages(load.size)
        const dataDirectory = join(folder, String(load.size))
        const log = await openLog(dataDirectory)
        const follower = reader(log, dataDirectory)
        opened.push(follower, log)
        const bytes = messages.reduce((sum, message) => sum + message.length, 0)
        const name = `${load.size.toLocaleString('en')}-event Msgs`
        notes.push(`${name}: ${Math.round(bytes / fleet.keys)} bytes an event, ${messages.length} records a round`)
        contenders.push(
          { name: `append, ${name}`, events: fleet.keys, run: () => append(log, messages, load.inFlight) },
          { name: `read, ${name}`, events: fleet.keys, run: () => follower.next(messages.length) },
        )
      }
      return { figures: await compare(contenders, roundsFor(options, 9)), notes }
    } finally {
      for (const one of opened) await one.close()
      rmSync(folder, { recursive: true })
    }
  },
}

async function openLog(dataDirectory: string): Promise<EmbeddedLog> {
  const log = await EmbeddedLog.open({
    dataDirectory,
    disk: nodeDisk,
    clock: { wallMs: () => 0 },
    limits: { maxBytes: 1_000_000_000 },
  })
  log.protectedOffset = Infinity
  return log
}

/** Appends all messages as intake does, so many senders each waiting for its ack. */
async function append(log: EmbeddedLog, messages: readonly Uint8Array[], inFlight: number): Promise<void> {
  let next = 0
  const sender = async () => {
    const head = new Uint8Array(eventsHeaderLength)
    while (next < messages.length) {
      const message = messages[next++]
      writeEventsHeader(head, next)
      await log.appendParts(0, head, message)
    }
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, messages.length) }, sender))
}

/** Reads what was appended since it last did. */
function reader(log: EmbeddedLog, dataDirectory: string): { next(records: number): void; close(): void } {
  const follower = new LogFollower({ dataDirectory, disk: nodeDisk, progress: log.progress, from: 0 })
  return {
    next(records) {
      let read = 0
      for (let batch = follower.next(); batch !== undefined; batch = follower.next()) read += batch.count
      if (read !== records) throw new Error(`${read} records were read, ${records} were written`)
    },
    close: () => follower.close(),
  }
}
