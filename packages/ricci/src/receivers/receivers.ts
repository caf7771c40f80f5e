import type { Receiver, SendResult, Transport } from '@ricci/replica'
import type { Config } from '../config/config.ts'
import { ReceiversHealth, type ReceiverHealth } from './health.ts'
import type { Means } from './kind.ts'
import { receiverViews, tryReceiver, type ReceiversConfig, type ReceiverTest, type ReceiverView } from './try.ts'

export interface ReceiverSurroundings extends Means {
  /** Told what became of each request, by the receiver's name. */
  readonly onResult?: (receiver: string, result: SendResult) => void
}

/**
 * The configured receivers by the names that rules use. The one that the configuration calls `self` is there under that name as
 * well: what cannot travel the log is sent to it.
 */
export function createReceivers(
  config: Pick<Config, 'receivers' | 'self'>,
  surroundings: ReceiverSurroundings,
): Map<string, Receiver> {
  const receivers = new Map<string, Receiver>()
  for (const [name, settings] of config.receivers) {
    receivers.set(name, {
      transport: toldOf(settings.connect(surroundings), (result) => surroundings.onResult?.(name, result)),
      class: settings.class,
      blindPolicy: settings.inDoubt,
    })
  }
  if (config.self !== undefined) receivers.set('self', receivers.get(config.self)!)
  return receivers
}

/** The receivers of one process: what delivery sends to, and what people try out. */
export class Receivers {
  readonly byName: ReadonlyMap<string, Receiver>
  readonly #health: ReceiversHealth
  readonly #trying = new Map<string, Promise<ReceiverTest>>()

  constructor(
    private readonly config: ReceiversConfig,
    private readonly surroundings: ReceiverSurroundings,
  ) {
    const health = new ReceiversHealth(() => surroundings.clock.monotonicMs())
    this.#health = health
    const onResult = (name: string, result: SendResult): void => {
      health.note(name, result)
      surroundings.onResult?.(name, result)
    }
    this.byName = createReceivers(config, { ...surroundings, onResult })
  }

  views(): readonly ReceiverView[] {
    return receiverViews(this.config)
  }

  /** How each has answered of late. */
  health(): readonly ReceiverHealth[] {
    return this.#health.told(this.config.receivers.keys())
  }

  /** Sends one test pages; whoever asks while that goes on hears the same. @throws RicciError `NO_RECEIVER` */
  try(name: string): Promise<ReceiverTest> {
    let trying = this.#trying.get(name)
    if (trying === undefined) {
      const { transport } = this.byName.get(name) ?? {}
      trying = tryReceiver(name, this.config, transport, this.surroundings.clock).finally(() =>
        this.#trying.delete(name),
      )
      this.#trying.set(name, trying)
    }
    return trying
  }
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
