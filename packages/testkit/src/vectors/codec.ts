/** Cases of the wire format: bytes to event, event to bytes, odd bytes. Exchanges need a server. */
import { CodecError, decodeEvent, decodeMsg, encodeMsg, MsgWriter, type Event } from '@ricci/client'
import { difference, failed, NotThereYet, passed, type Case, type Outcome } from './case.ts'
import { eventOf, plain, same, show, type RawEvent } from './values.ts'

export interface CodecCase extends Case {
  readonly kind: 'decode' | 'encode' | 'bytes' | 'exchange'
  readonly hex: string
  readonly type?: 'Event' | 'Msg'
  readonly event?: RawEvent
  readonly msg?: Readonly<Record<string, unknown>> & { readonly events: readonly RawEvent[] }
  readonly wire?: { readonly attributes?: readonly (readonly [string, string])[] }
  readonly throws?: string
}

export function runCodec(c: CodecCase): Outcome {
  if (c.kind === 'exchange') throw new NotThereYet('a server; the tests of intake run the exchanges of this repository')
  const expected = c.throws !== undefined ? throwing : c.kind === 'encode' ? wrapped(c.hex) : (c.event ?? c.msg)
  const actual = attempt(() => {
    if (c.kind === 'encode') return toHex(encodeMsg({ events: [encodable(c)] }))
    const bytes = fromHex(c.hex)
    if (c.type === 'Msg') return { events: [], ...decodeMsg(bytes) }
    return decodeEvent(bytes)
  })
  const matches = expected === actual || (actual !== throwing && same(normal(expected), normal(actual)))
  return matches ? passed : failed(difference(c.hex ?? c.id, showResult(expected), showResult(actual)))
}

const throwing = Symbol('throws')
const showResult = (result: unknown): string => (result === throwing ? 'an error' : show(normal(result)))

function attempt(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    if (error instanceof CodecError) return throwing
    throw error
  }
}

/** The server's clock fills in `"now"`; the decoder leaves an absent time absent. */
function normal(value: unknown): unknown {
  return plain(withoutNow(value))
}

function withoutNow(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNow)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, name === 'time' && part === 'now' ? null : withoutNow(part)]),
  )
}

/** Attributes that are no text in the case are what Riemann wrote for them. */
function encodable(c: CodecCase): Event {
  if (c.throws !== undefined) return { ...c.event } as Event
  const { attributes } = c.wire!
  return { ...eventOf(c.event!), attributes: attributes === undefined ? undefined : Object.fromEntries(attributes) }
}

function wrapped(eventHex: string): string {
  const event = fromHex(eventHex)
  const writer = new MsgWriter()
  writer.rawEvent(event, 0, event.length)
  return toHex(writer.finish())
}

function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
