/** What tests of explanations share: a log that a test writes, and the command line asking about it. */
import { EventEmitter } from 'node:events'
import { crc32 } from 'node:zlib'
import type { Event, ProducerMark } from '@ricci/client'
import type { Engine, Incident, LogRecord, OutcomeRecord, PendingPage, RulesDescription } from '@ricci/engine'
import type { StoredRecord } from '@ricci/replica'
import { runProgram } from '../cli/program.ts'
import { serve } from '../http/testing.ts'
import type { Explainer, SilenceRequest } from './explainer.ts'
import { namesOf, partitionOfId } from '../incidents/incident-filter.ts'
import { incidentText } from './incident-text.ts'
import { readHistory, replaySilence, type Reading } from './replay.ts'
import { silenceText } from './silence-text.ts'

/** The night that tests tell of. */
export const nightMs = Date.UTC(2026, 10, 30, 3, 0, 0)

/** The testkit's bench of an engine, as far as it is used: this file may not import it, its tests may. */
interface EngineBench {
  readonly log: readonly Uint8Array[]
  readonly descriptions: ReadonlyMap<string, RulesDescription>
  readonly engine: Engine
  epoch: number
  append(record: LogRecord): void
  events(atMs: number, ...events: Event[]): void
  marked(atMs: number, mark: ProducerMark, ...events: Event[]): void
  tick(elapsedMs: number, wallMs: number): void
}

/** A log in memory, in virtual time, with an engine that has applied it. */
export class ScriptedLog {
  atMs = nightMs
  #attempts = 0

  constructor(readonly bench: EngineBench) {
    this.takeOver('ricci-1')
  }

  /** Another instance owns from here on; its first tick says that no time has passed. */
  takeOver(instance: string): void {
    this.#attempts = 0
    this.bench.append({ kind: 'claim', epoch: ++this.bench.epoch, instance, semantics: 1 })
    this.bench.tick(0, this.atMs)
  }

  /** Seconds pass, as an owner's ticks do. */
  pass(seconds: number): void {
    for (let left = seconds; left > 0; left--) {
      this.atMs += 1_000
      this.bench.tick(1_000, this.atMs)
    }
  }

  /** An event of now. */
  send(event: Event): void {
    this.bench.events(this.atMs, { time: this.atMs / 1000, ...event })
  }

  get pending(): readonly Readonly<PendingPage>[] {
    return this.bench.engine.pendingPages()
  }

  /** The first page that waits is tried, and ends so; without a result nobody hears how. */
  attempt(sender: string, outcome?: Pick<OutcomeRecord, 'result' | 'detail'>, more: { repeats?: string } = {}): void {
    const [{ id, receiver }] = this.pending
    const about = { epoch: this.bench.epoch, n: ++this.#attempts, receiver, pages: [id] }
    this.bench.append({ kind: 'attempt', ...about, sender, ...more })
    if (outcome !== undefined) this.bench.append({ kind: 'outcome', ...about, ...outcome })
  }

  reading(): Reading {
    const records = this.bench.log.map((bytes, offset) => ({ offset, bytes, checksum: crc32(bytes) }))
    return {
      log: {
        id: 'log',
        async *read(_partition, from): AsyncGenerator<readonly StoredRecord[]> {
          for (let at = from; at < records.length; at += 100) yield records.slice(at, at + 100)
        },
      },
      partition: 0,
      signal: new AbortController().signal,
      onProgress: () => undefined,
    }
  }

  /** Explains as a server does, in this thread. */
  explainer(): Pick<Explainer, 'incident' | 'silence'> {
    const { engine, log, descriptions } = this.bench
    const reading = this.reading()
    const end = log.length
    const now = this.atMs
    return {
      async *incident(name) {
        const { open, closed } = engine.incidents()
        const waiting = engine.pendingPages()
        const incident = [...open, ...closed].find(
          (one) => namesOf(one).includes(name) || one.rule === name,
        ) as Incident
        const partition = partitionOfId(incident.id)
        const from = incident.openedOffset
        const job = { kind: 'incident', incident, waiting, from, until: end } as const
        yield { answer: await readHistory({ ...reading, partition }, job) }
      },
      async *silence({ host, rule, service, atMs = now, withinMs }) {
        const question = { host, rule, service, fromMs: atMs - withinMs, untilMs: atMs }
        const until = end
        const description = [...descriptions.values()].at(-1)!
        const rules = () => ({ description, explain: String })
        yield { answer: await replaySilence(reading, { kind: 'silence', question, from: 0, until, end }, rules) }
      },
    }
  }

  /** The text of the answer to why not, without a server in between. */
  async why(request: Partial<SilenceRequest> = {}): Promise<string> {
    const asked = { host: 'a', rule: 'high', withinMs: 600_000, ...request }
    const signal = new AbortController().signal
    for await (const step of this.explainer().silence(asked, signal))
      if ('answer' in step) return silenceText(step.answer)
    throw new Error('there was no answer')
  }

  /** What was done about the incident of that name, likewise. */
  async done(name: string): Promise<string> {
    const signal = new AbortController().signal
    for await (const step of this.explainer().incident(name, signal))
      if ('answer' in step) return incidentText(step.answer)
    throw new Error('there was no answer')
  }

  /** What the command line says to `ricci explain …` of a server that stands on this log. */
  async ask(...words: readonly string[]): Promise<string> {
    const { url } = await serve({ explainer: () => this.explainer() })
    let said = ''
    const note = (text: string): void => void (said += text)
    await runProgram(['explain', ...words, '--url', url], {
      ...{ write: note, print: async (text: string) => note(text), complain: note },
      ...{ env: {}, interactive: false, signals: new EventEmitter() },
    })
    return said
  }
}
