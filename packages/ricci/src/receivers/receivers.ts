import type { Clock, Receiver, SendResult, Transport } from '@ricci/replica'
import type { Config, ReceiverConfig } from '../config/config.ts'
import { ConsoleTransport } from './console.ts'
import { PagerDutyTransport } from './pagerduty.ts'
import { WebhookTransport } from './webhook.ts'

export interface ReceiverSurroundings {
  readonly clock: Clock
  /** Takes a line without its newline, for receivers of type console; rejects where it cannot. */
  readonly write: (line: string) => void | Promise<void>
  /** Told what became of each request, by the receiver's name. */
  readonly onResult?: (receiver: string, result: SendResult) => void
}

/**
 * The configured receivers by the names that rules use. The one that the configuration calls `self` is there under that name as
 * well: what cannot travel the log is sent to it.
 *
 * A new kind of receiver is a file with a `Transport`, an option of `receiver` in `config/schema.ts`, and a line here.
 */
export function createReceivers(
  config: Pick<Config, 'receivers' | 'self'>,
  surroundings: ReceiverSurroundings,
): Map<string, Receiver> {
  const receivers = new Map<string, Receiver>()
  for (const [name, settings] of config.receivers) {
    receivers.set(name, {
      transport: toldOf(transport(settings, surroundings), (result) => surroundings.onResult?.(name, result)),
      class: settings.class,
      blindPolicy: settings.inDoubt,
    })
  }
  if (config.self !== undefined) receivers.set('self', receivers.get(config.self)!)
  return receivers
}

/** Why a page does not arrive would otherwise stand in the log of records alone. */
function toldOf(transport: Transport, tell: (result: SendResult) => void): Transport {
  return {
    async send(request, mayStart, signal) {
      const result = await transport.send(request, mayStart, signal)
      tell(result)
      return result
    },
  }
}

function transport(settings: ReceiverConfig, { clock, write }: ReceiverSurroundings): Transport {
  switch (settings.type) {
    case 'console':
      return new ConsoleTransport(write)
    case 'webhook':
      return new WebhookTransport(settings, clock)
    case 'pagerduty':
      return new PagerDutyTransport(settings, clock)
  }
}
