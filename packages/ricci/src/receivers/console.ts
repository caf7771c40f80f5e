import type { SendRequest, SendResult, Transport } from '@ricci/replica'
import { headline, plainText } from './text.ts'

const words = { trigger: 'PAGE', resolve: 'RESOLVED', notify: 'NOTICE' } as const

/**
 * Pages as lines for a person at a terminal:
 *
 *     PAGE      critical  cpu-high  web-7 cpu: 0.97 for 30 s
 *     RESOLVED  ok        cpu-high  web-7 cpu: 0.41
 */
export class ConsoleTransport implements Transport {
  /** @param write takes a line without its newline */
  constructor(private readonly write: (line: string) => void) {}

  async send(request: SendRequest, mayStart: () => boolean): Promise<SendResult> {
    if (!mayStart()) return { kind: 'failed', detail: 'nothing was sent: the send window had passed' }
    this.write(pageLine(request))
    return { kind: 'delivered', detail: 'printed' }
  }
}

/** A page as one line without control characters. */
export function pageLine(request: SendRequest): string {
  const { action, severity, rule, host, service } = request
  const from = [host, service].filter((word) => word !== '').join(' ')
  const what = [words[action].padEnd(8), plainText(severity).padEnd(8), plainText(rule)].join('  ')
  return from === '' ? `${what}  ${headline(request)}` : `${what}  ${plainText(from)}: ${headline(request)}`
}
