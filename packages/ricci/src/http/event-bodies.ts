/** Bodies of events over HTTP: Riemann's, each event of which is answered with a line, and our own, taken as a whole or not at all. A server's routes and an agent's share it. */
import type { ServerResponse } from 'node:http'
import type { Event } from '@ricci/client'
import { RicciError } from '../errors.ts'
import { eventsOfBody, type Parsed } from '../intake/json/json-body.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { HttpBackend } from './backend.ts'

export interface EventBodiesOptions {
  readonly backend: Pick<HttpBackend, 'take'>
  readonly telemetry: Telemetry
  /** Seconds since 1970: the time of events that name none. */
  readonly nowSeconds: () => number
}

/** A body: some 5,000 events of a host's metrics; to parse it takes some ten milliseconds, for which nobody else is served. */
export const maxBodyBytes = 1 << 20

/** Bodies that are read or waited for at once: 64 MiB, and the events made of them. While more come, the one that has been coming longest gives way. */
const maxAtOnce = 64

/** What takes them, of one server. */
export class EventBodies {
  /** Of the answers that are not over, those whose body is not whole, with its sender: oldest first. */
  private readonly coming = new Map<ServerResponse, string>()
  private readonly all = new Set<ServerResponse>()

  constructor(private readonly options: EventBodiesOptions) {}

  /** One more comes, to be answered by this. @throws RicciError `INTAKE_FULL` */
  begin(response: ServerResponse, peer: string): void {
    if (!this.makeRoom())
      throw new RicciError(
        'INTAKE_FULL',
        `${maxAtOnce} requests with events are being taken in already; send it again in a moment`,
      )
    this.all.add(response)
    this.coming.set(response, peer)
    response.once('close', () => this.leave(response))
  }

  /** It is there. */
  came(response: ServerResponse): void {
    this.coming.delete(response)
  }

  /** As Riemann does: takes what can be taken; gives a JSON text a line for what each came to. @throws RicciError, ReplicaError: why nothing is taken */
  async takeEach(body: Uint8Array, peer: string): Promise<string> {
    const parsed = await this.takenOf(eventsOfBody(body, this.options.nowSeconds()))
    const lines = parsed.map((one) => {
      if ('event' in one) return '{}\n'
      this.options.telemetry.malformed('http', peer, one.error)
      return `${JSON.stringify({ error: one.error })}\n`
    })
    return lines.join('')
  }

  /** Takes all of them or none. @throws RicciError, ReplicaError: why not */
  async takeAll(body: Uint8Array, peer: string): Promise<{ readonly taken: number }> {
    const parsed = eventsOfBody(body, this.options.nowSeconds())
    for (const [at, one] of parsed.entries()) {
      if ('event' in one) continue
      this.options.telemetry.malformed('http', peer, one.error)
      throw new RicciError(
        'EVENT_MALFORMED',
        `event ${at + 1} of ${parsed.length}: ${one.error}; none of them was taken`,
      )
    }
    await this.take(parsed)
    return { taken: parsed.length }
  }

  private async take(parsed: readonly Parsed[]): Promise<void> {
    const { backend, telemetry } = this.options
    const events = parsed.flatMap((one): Event[] => ('event' in one ? [one.event] : []))
    if (events.length === 0) return
    await backend.take(events)
    telemetry.tally.httpEvents += events.length
  }

  /** Takes what can be taken; gives what each came to. */
  private async takenOf(parsed: readonly Parsed[]): Promise<readonly Parsed[]> {
    try {
      await this.take(parsed)
      return parsed
    } catch (error) {
      if (!isMalformed(error)) throw error
      if (parsed.length === 1) return [{ error: error.message }]
      const half = parsed.length >> 1
      return (await Promise.all([this.takenOf(parsed.slice(0, half)), this.takenOf(parsed.slice(half))])).flat()
    }
  }

  /** There is room for one more; or it is made by letting go of who sends too slowly. */
  private makeRoom(): boolean {
    if (this.all.size < maxAtOnce) return true
    const [slowest] = this.coming as Iterable<[ServerResponse, string] | undefined>
    if (slowest === undefined) return false
    const [response, peer] = slowest
    const why = `${maxAtOnce} bodies came at once, its own slowest`
    this.options.telemetry.connectionClosed('half-sent', peer, why)
    this.leave(response)
    response.destroy()
    return true
  }

  private leave(response: ServerResponse): void {
    this.coming.delete(response)
    this.all.delete(response)
  }
}

/** Whether it is an event's own fault. */
function isMalformed(error: unknown): error is RicciError {
  return error instanceof RicciError && error.code === 'EVENT_MALFORMED'
}
