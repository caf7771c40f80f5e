import type { Event } from '@ricci/client'
import { jsonOfEvent } from './json.ts'

/** Events kept for a watcher that does not take them; beyond, they are counted and left out. A terminal shows some hundred a second. */
const maxBuffered = 10_000

/** Events that one watcher has not been given yet. */
export class WatchBuffer {
  private lines: string[] = []
  private leftOut = 0
  private ended = false
  private wake: (() => void) | undefined

  push(event: Event): void {
    if (this.lines.length < maxBuffered) this.lines.push(jsonOfEvent(event))
    else this.leftOut++
  }

  /** A batch of records has been applied: what it brought may go. */
  flush(): void {
    if (this.lines.length > 0) this.wake?.()
  }

  end(): void {
    this.ended = true
    this.wake?.()
  }

  /** Pieces of JSON texts, one a line. The first piece is empty: the query is accepted. */
  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    yield new Uint8Array(0)
    while (!this.ended) {
      if (this.lines.length === 0) await new Promise<void>((resolve) => (this.wake = resolve))
      this.wake = undefined
      if (this.lines.length === 0) continue
      const { lines, leftOut } = this
      this.lines = []
      this.leftOut = 0
      if (leftOut > 0) {
        lines.push(
          jsonOfEvent({
            service: 'ricci watch',
            state: 'warning',
            description: `${leftOut} events were left out here: more came than were read`,
          }),
        )
      }
      yield encoder.encode(lines.join('\n'))
    }
  }
}

const encoder = new TextEncoder()
