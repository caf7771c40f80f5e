export { EventCursor, Kind, type InternTable } from './cursor.ts'
export type { Event, Msg, ProducerMark } from './event.ts'
export { ClientError, CodecError, type ClientErrorCode, type CodecErrorCode } from './errors.ts'
export {
  defaultLimits,
  maxAttributesPerEvent,
  maxDatagramBytes,
  maxEventsPerMsg,
  maxFrameBytes,
  maxMarkBytes,
  maxQueryBytes,
  maxReplyBytes,
  maxSymbolBytes,
  maxTagsPerEvent,
  maxTextBytes,
  type Limits,
} from './limits.ts'
export { maxSets, maxSymbols, maxSymbolTableBytes, SymbolTable, type Marks, type SymbolLimits } from './symbols.ts'
export { MsgReader } from './reader.ts'
export { MsgWriter } from './writer.ts'
export { inspectMsg, validateMsg, type MsgFacts } from './validate.ts'
export {
  cursorToEvent,
  decodeEvent,
  decodeMsg,
  descriptionOf,
  encodeEvent,
  encodeMsg,
  eventToCursor,
  writeMsg,
} from './message.ts'
export { countMarkUp, encodeMark, eventsWithMark, maxProducerIdleMs, readMark, withMark } from './mark.ts'
export { MsgPeek } from './peek.ts'
export { MsgRoute, type RouteOptions } from './route.ts'
export { hopsAttribute, passedOn, type PassedOn } from './hops.ts'
export { frame, FrameReader } from './frame.ts'
export { halvesOf, largestEventBytes } from './halves.ts'
export { isRefusedForNow, refusalAsTooLarge, refusalForNow, takenBytes } from './refusal.ts'
export { RiemannTcpClient, type CallOptions, type ConnectionState, type TcpClientOptions } from './tcp.ts'
export { RiemannUdpClient, type UdpClientOptions } from './udp.ts'
export type { ClientClock, ClientRandom } from './clock.ts'
