/** A client of brokers that knows nothing of Ricci. */
import { AMQPClient } from '@cloudamqp/amqp-client'

export class PlainClient extends AMQPClient {
  constructor(url: string) {
    super(url, undefined, null)
    this.onerror = () => undefined
  }

  /** The library's own also rejects promises that nobody looks at when a write fails, which would end the process. */
  override send(bytes: Uint8Array): Promise<void> {
    super.send(bytes).catch(() => undefined)
    return Promise.resolve()
  }
}
