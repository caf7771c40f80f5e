import type { SendRequest, SendResult, Transport } from '@ricci/replica'
import { receiverKind } from './kind.ts'
import { headline, pageWords, plainText } from './text.ts'

/**
 * Pages as lines for a person at a terminal:
 *
 *     PAGE      critical  cpu-high: web-7 cpu critical (0.97)
 *     RESOLVED  critical  cpu-high: web-7 cpu ok (0.41)
 */
class ConsoleTransport implements Transport {
  /** @param write takes a line without its newline; rejects where nobody can read it */
  constructor(private readonly write: (line: string) => void | Promise<void>) {}

  async send(request: SendRequest, mayStart: () => boolean, signal: AbortSignal): Promise<SendResult> {
    if (!mayStart()) return { kind: 'failed', detail: 'nothing was sent: the send window had passed' }
    return new Promise((resolve) => {
      const outOfTime = (): void => end({ kind: 'unknown', detail: 'written, and nobody took the line in time' })
      const end = (result: SendResult): void => {
        signal.removeEventListener('abort', outOfTime)
        resolve(result)
      }
      signal.addEventListener('abort', outOfTime)
      const print = async (): Promise<void> => this.write(pageLine(request))
      print().then(
        () => end({ kind: 'delivered', detail: 'printed' }),
        (error: Error) => end({ kind: 'failed', detail: `nothing was printed: ${error.message}` }),
      )
    })
  }
}

/** Whoever looks on is told; what a terminal showed nobody can look up (class C). */
export const consoleKind = receiverKind({
  type: 'console',
  class: 'C',
  test: ['notify'],
  settings: () => ({}),
  transport: (_settings, { write }) => new ConsoleTransport(write),
})

/** A page as one line without control characters. What the summary says already (rule, host, service) is not said again. */
export function pageLine(request: SendRequest): string {
  const { action, severity } = request
  const summary = headline(request)
  const names = [request.rule, request.host, request.service].map(plainText)
  const unsaid = names.filter((name) => name !== '' && !summary.includes(name))
  const rest = unsaid.length === 0 ? '' : ` [${unsaid.join(' ')}]`
  return `${pageWords[action].padEnd(8)}  ${plainText(severity).padEnd(8)}  ${summary}${rest}`
}
