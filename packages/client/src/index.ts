export { EventCursor, Kind, type InternTable } from './cursor.ts'
export type { Event, Msg, ProducerMark } from './event.ts'
