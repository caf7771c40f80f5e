import { MsgTag } from './scan.ts'
import { WireReader } from './wire.ts'

/**
 * The events of a Msg in two halves, each a Msg of its own, in their order; what is no event is left out. Undefined where there are not two. The same bytes are
 * always halved at the same place.
 */
export function halvesOf(msg: Uint8Array): readonly [Uint8Array, Uint8Array] | undefined {
  const events = [...eventsOf(msg)]
  const middle = events.length >> 1
  if (middle === 0) return undefined
  return [Buffer.concat(events.slice(0, middle)), Buffer.concat(events.slice(middle))]
}

/** Bytes of the largest event of a Msg; 0 where it has none. */
export function largestEventBytes(msg: Uint8Array): number {
  let largest = 0
  for (const { length } of eventsOf(msg)) largest = Math.max(largest, length)
  return largest
}

/** The field of each event, its tag and length included. */
function* eventsOf(msg: Uint8Array): Generator<Uint8Array> {
  const reader = new WireReader()
  reader.open(msg)
  while (reader.at < msg.length) {
    const start = reader.at
    const tag = reader.tag(msg.length)
    reader.skipField(tag, msg.length)
    if (tag === MsgTag.event) yield msg.subarray(start, reader.at)
  }
}
