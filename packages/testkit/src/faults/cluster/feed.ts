/** The load as whoever started it sees it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Event } from '@ricci/client'
import { guarded } from '../../servers/process.ts'
import type { LoadAnswer, LoadReport, LoadRequest, LoadSettings } from './load-protocol.ts'

/** An event that was sent on demand. Moments on the machine's monotonic clock, in ms. */
export interface Sent {
  sentMs?: number
  ackedMs?: number
}

export class Feed {
  private readonly child: ChildProcess
  private readonly exited: Promise<unknown>
  private readonly sent: Sent[] = []
  private told: ((answer: LoadAnswer) => void) | undefined

  /** @param program path of the built `fault-load.mjs` */
  constructor(program: string, settings: LoadSettings) {
    const words = [...guarded(), process.execPath, program, JSON.stringify(settings)]
    this.child = spawn('setpriv', words, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    // what it said last may still be on its way when the process is gone
    this.exited = Promise.all([once(this.child, 'close'), once(this.child, 'disconnect')])
    this.child.on('message', (answer: LoadAnswer) => {
      if (answer.kind === 'sent') this.sent[answer.id].sentMs = answer.atMs
      else if (answer.kind === 'acked') this.sent[answer.id].ackedMs = answer.atMs
      else this.told?.(answer)
    })
  }

  /** Has an event sent by a cluster's producer. What is given back is filled in as it goes. */
  send(cluster: number, event: Event): Sent {
    const sent: Sent = {}
    this.ask({ kind: 'send', id: this.sent.push(sent) - 1, cluster, event })
    return sent
  }

  /** A host falls silent, or talks again. */
  talking(host: string, talking: boolean): void {
    this.ask({ kind: 'talking', host, talking })
  }

  /** Resolves once nothing is published at brokers any more. */
  async stopForeign(): Promise<void> {
    await this.answer({ kind: 'stop-foreign' })
  }

  /** Nothing new is sent; resolves with what was, once it is acknowledged or never will be. */
  async stop(): Promise<LoadReport> {
    return (await this.answer({ kind: 'stop' })) as LoadReport
  }

  async end(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }

  /** Asks, and resolves with the next answer that is not about what was sent. */
  private answer(request: LoadRequest): Promise<LoadAnswer> {
    const answer = new Promise<LoadAnswer>((resolve, reject) => {
      this.told = resolve
      void this.exited.then(() => reject(new Error('the load ended by itself')))
    })
    this.ask(request)
    return answer
  }

  private ask(request: LoadRequest): void {
    if (this.child.connected) this.child.send(request)
  }
}
