import { create, createFileRegistry, fromBinary, toBinary, type DescMessage } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import protobuf from 'protobufjs'

/** Riemann's protocol (riemann-java-client, EPL: a description of an interface, in our words), with our extension of Msg. */
const proto = `
  syntax = "proto2";
  package riemann;
  message State {
    optional int64 time = 1; optional string state = 2; optional string service = 3; optional string host = 4;
    optional string description = 5; optional bool once = 6; repeated string tags = 7; optional float ttl = 8;
  }
  message Event {
    optional int64 time = 1; optional string state = 2; optional string service = 3; optional string host = 4;
    optional string description = 5; repeated string tags = 7; optional float ttl = 8; repeated Attribute attributes = 9;
    optional int64 time_micros = 10; optional sint64 metric_sint64 = 13; optional double metric_d = 14;
    optional float metric_f = 15;
  }
  message Query { optional string string = 1; }
  message Attribute { required string key = 1; optional string value = 2; }
  message ProducerMark {
    optional string producer = 1; optional uint64 incarnation = 2; optional uint64 sequence = 3;
    optional double sent_at_ms = 4;
  }
  message Msg {
    optional bool ok = 2; optional string error = 3; repeated State states = 4; optional Query query = 5;
    repeated Event events = 6; optional ProducerMark mark = 1000;
  }`

/** An event as its fields stand on the wire, under protobufjs' names. */
export interface WireEvent {
  time?: number | bigint
  state?: string
  service?: string
  host?: string
  description?: string
  tags?: string[]
  ttl?: number
  attributes?: { key: string; value?: string }[]
  timeMicros?: number | bigint
  metricSint64?: number | bigint
  metricD?: number
  metricF?: number
}
export interface WireMsg {
  ok?: boolean
  error?: string
  query?: { string?: string }
  events?: WireEvent[]
  mark?: { producer?: string; incarnation?: number; sequence?: number; sentAtMs?: number }
}

/**
 * protobufjs' static code for Msg. `setup` generates, from the .proto, the very functions that `pbjs -t static` prints (both go
 * through protobufjs' own encoder.js and decoder.js), compiled before the first use.
 */
export const referenceMsg: protobuf.Type = protobuf.parse(proto).root.lookupType('riemann.Msg')
for (const name of ['Msg', 'Event', 'Query', 'Attribute', 'State', 'ProducerMark']) {
  referenceMsg.root.lookupType(`riemann.${name}`).setup()
}

/** Encodes by protobufjs: what any other sender writes. Integers must be safe ones. */
export function referenceEncode(msg: WireMsg): Uint8Array {
  return referenceMsg.encode(referenceMsg.fromObject(msg as Record<string, unknown>)).finish()
}

/** @bufbuild/protobuf's reading of the same protocol. */
export function bufbuildMsg(): {
  decode(bytes: Uint8Array): unknown
  encode(message: unknown): Uint8Array
} {
  const types = { int64: 3, bool: 8, string: 9, float: 2, double: 1, sint64: 18, message: 11, uint64: 4 }
  const messages = ['State', 'Event', 'Query', 'Attribute', 'ProducerMark', 'Msg'].map((name) => {
    const fields = referenceMsg.root.lookupType(`riemann.${name}`).fieldsArray
    return {
      name,
      field: fields.map((field) => ({
        name: field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        number: field.id,
        label: field.repeated ? 3 : field.required ? 2 : 1,
        type: types[field.type as keyof typeof types] ?? types.message,
        ...(field.type in types ? {} : { typeName: `.riemann.${field.type}` }),
      })),
    }
  })
  const file = create(FileDescriptorProtoSchema, {
    name: 'riemann.proto',
    package: 'riemann',
    syntax: 'proto2',
    messageType: messages,
  })
  const type: DescMessage = createFileRegistry(file, () => undefined).getMessage('riemann.Msg')!
  return {
    decode: (bytes) => fromBinary(type, bytes),
    encode: (message) => toBinary(type, message as never),
  }
}
