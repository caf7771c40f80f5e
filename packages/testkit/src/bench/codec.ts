import {
  decodeMsg,
  encodeEvent,
  encodeMsg,
  EventCursor,
  MsgPeek,
  MsgReader,
  MsgWriter,
  SymbolTable,
} from '@ricci/client'
import { validateMsg, type Msg } from '@ricci/client'
import { bufbuildMsg, referenceEncode, referenceMsg, type WireEvent } from '../codec/reference.ts'
import { Fleet } from './fleet.ts'
import { compare, roundsFor, type Benchmark, type Contender } from './measure.ts'

export const benchmark: Benchmark = {
  about: 'decoding and encoding the fleet’s events (30,000 keys, four rounds in turn)',
  async run(options) {
    const hosts = options.tiny === true ? 1 : 100
    const figures = await compare([...decoders(hosts), ...encoders(hosts)], roundsFor(options, 15))
    const ratio = (name: string, of: string) => {
      const ns = (wanted: string) => figures.find((figure) => figure.name === wanted)!.medianNs
      return (ns(of) / ns(name)).toFixed(2)
    }
    return {
      figures,
      notes: [
        `decode into the cursor: ${ratio('decode to ids, 3,000-event Msgs', 'protobufjs decode (yardstick)')} times protobufjs (wanted: 3.5)`,
        `encode events for people: ${ratio('encode objects', 'protobufjs encode')} times protobufjs’ encode (wanted: 1.8)`,
        `encode events of ids: ${ratio('encode ids', 'protobufjs encode')} times protobufjs’ encode`,
      ],
    }
  },
}

/** Four rounds, taken in turn: states and descriptions change from one to the next as they do in a fleet. */
const rounds = 4

function inTurn<T>(makeRound: () => T): () => T {
  const made = Array.from({ length: rounds }, makeRound)
  let turn = 0
  return () => made[turn++ % rounds]
}

function decoders(hosts: number): Contender[] {
  const contenders: Contender[] = []
  for (const size of [3000, 100, 1]) {
    const fleet = new Fleet({ hosts })
    const next = inTurn(() => fleet.nextMessages(size))
    contenders.push({
      name: `decode to ids, ${size.toLocaleString('en')}-event Msgs`,
      events: fleet.keys,
      run: idDecoder(next),
      target: size === 3000 ? 3.5 : undefined,
    })
  }
  const shuffled = new Fleet({ hosts, order: 'shuffled' })
  const nextShuffled = inTurn(() => shuffled.nextMessages(3000))
  contenders.push({ name: 'decode to ids, new order each round', events: shuffled.keys, run: idDecoder(nextShuffled) })

  const fleet = new Fleet({ hosts })
  const next = inTurn(() => fleet.nextMessages(3000))
  const peek = new MsgPeek()
  const bufbuild = bufbuildMsg()
  const each = (name: string, work: (bytes: Uint8Array) => void): Contender => ({
    name,
    events: fleet.keys,
    run: () => next().forEach(work),
  })
  contenders.push(
    each('decode to objects', (bytes) => void decodeMsg(bytes)),
    each('validate', (bytes) => void validateMsg(bytes)),
    each('peek at the cluster', (bytes) => {
      peek.open(bytes)
      while (peek.next()) if (peek.attribute('cluster') === undefined) throw new Error('no cluster')
    }),
    each('protobufjs decode, four rounds', (bytes) => void referenceMsg.decode(bytes)),
    each('@bufbuild/protobuf decode', (bytes) => void bufbuild.decode(bytes)),
  )
  return contenders
}

function idDecoder(next: () => Uint8Array[]): () => void {
  const reader = new MsgReader()
  const table = new SymbolTable()
  const cursor = new EventCursor()
  return () => {
    for (const bytes of next()) {
      reader.open(bytes)
      while (reader.next(cursor, table)) if (cursor.service === 0) throw new Error('no service')
    }
  }
}

function encoders(hosts: number): Contender[] {
  const fleet = new Fleet({ hosts })
  const messages = fleet.nextMessages(3000)
  const events = fleet.keys
  const objects: Msg[] = messages.map((bytes) => decodeMsg(bytes))
  // Everyone writes the fields that Riemann writes: both times, metric_d and metric_f.
  const wire = objects.map((msg) => ({
    events: decodeWire(msg).map((event) => ({
      ...event,
      timeMicros: Number(event.time) * 1e6,
      metricF: event.metricD,
    })),
  }))
  const prepared = wire.map((msg) => referenceMsg.fromObject(msg))
  const bufbuild = bufbuildMsg()
  const bufbuildMessages = wire.map((msg) => bufbuild.decode(referenceEncode(msg)))
  const table = new SymbolTable()
  const reader = new MsgReader()
  const cursors = messages.map((bytes) => cursorsOf(bytes, reader, table))
  const writer = new MsgWriter(1024 * 1024)
  return [
    { name: 'encode objects', events, run: () => objects.forEach((msg) => void encodeMsg(msg)) },
    {
      name: 'encode ids',
      events,
      run: () => {
        for (const list of cursors) {
          writer.reset()
          for (const cursor of list) encodeEvent(cursor, table, writer)
          writer.finish()
        }
      },
    },
    { name: 'protobufjs encode', events, run: () => prepared.forEach((msg) => void referenceMsg.encode(msg).finish()) },
    {
      name: '@bufbuild/protobuf encode',
      events,
      run: () => bufbuildMessages.forEach((msg) => void bufbuild.encode(msg)),
    },
  ]
}

function decodeWire(msg: Msg): WireEvent[] {
  return msg.events!.map(({ metric, metricType: _, attributes, tags, time, ...event }) => ({
    ...event,
    time,
    tags: [...(tags ?? [])],
    attributes: Object.entries(attributes ?? {}).map(([key, value]) => ({ key, value })),
    metricD: Number(metric),
  }))
}

function cursorsOf(bytes: Uint8Array, reader: MsgReader, table: SymbolTable): EventCursor[] {
  const list: EventCursor[] = []
  reader.open(bytes)
  for (;;) {
    const cursor = new EventCursor()
    if (!reader.next(cursor, table)) return list
    list.push(cursor)
  }
}
