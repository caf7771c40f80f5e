import { encodeMark, halvesOf, isRefusedForNow, readMark, takenBytes, type Msg, type ProducerMark } from '@ricci/client'

/** What messages are sent through. */
export interface Way {
  sendMsg(msg: Msg | Uint8Array): Promise<Msg>
}

/**
 * A way to servers of which some take no message as large as those that wait: such a one goes in halves, and halves of these. Each is of a producer of its own, named by where it was
 * cut; as the same bytes are always cut at the same places, what is sent again is known by that name, wherever the whole was cut to another size. An event that is too large
 * by itself is refused; what came with it is taken.
 */
export class Parts implements Way {
  readonly #way: Way
  /** What a server said that it takes; the least of all that said so. */
  #takenBytes = Infinity

  constructor(way: Way) {
    this.#way = way
  }

  /**
   * Sends a Msg that has a mark, spread over several producers if need be; any other as it is. Resolves with one answer for all parts: where some were refused for good, with the first such.
   * @throws what the way throws; then some parts may have been taken
   */
  async sendMsg(msg: Msg | Uint8Array): Promise<Msg> {
    const mark = msg instanceof Uint8Array ? readMark(msg) : undefined
    return mark === undefined ? this.#way.sendMsg(msg) : this.#send(msg as Uint8Array, mark, '')
  }

  async #send(msg: Uint8Array, mark: ProducerMark, cut: string): Promise<Msg> {
    let halves = msg.length > this.#takenBytes ? halvesOf(msg) : undefined
    if (halves === undefined) {
      const reply = await this.#way.sendMsg(msg)
      const taken = takenBytes(reply.error)
      if (taken === undefined) return reply
      this.#takenBytes = Math.min(this.#takenBytes, taken)
      halves = halvesOf(msg)
      if (halves === undefined) return reply
    }
    const first = await this.#half(halves[0], mark, `${cut}0`)
    if (isRefusedForNow(first.error)) return first
    const second = await this.#half(halves[1], mark, `${cut}1`)
    return first.ok === false && !isRefusedForNow(second.error) ? first : second
  }

  #half(events: Uint8Array, mark: ProducerMark, cut: string): Promise<Msg> {
    const producer = `${mark.producer}~${cut}`
    return this.#send(Buffer.concat([events, encodeMark({ ...mark, producer })]), mark, cut)
  }
}
