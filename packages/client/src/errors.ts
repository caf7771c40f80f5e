/** What the codec refuses; see CodecError. */
export type CodecErrorCode =
  /** The bytes end inside a field, or a length points beyond their end. */
  | 'TRUNCATED'
  /** Bytes no protobuf encoder writes: field number 0, an unknown wire type, a varint of more than ten bytes, a stray end of group. */
  | 'MALFORMED'
  /** An attribute has no key, which the format requires. */
  | 'ATTRIBUTE_WITHOUT_KEY'
  /** A producer's mark without a name, or without a sequence number from 1: its messages would be taken for repeats of one another. */
  | 'MARK_INCOMPLETE'
  | 'FRAME_TOO_LARGE'
  /** What stands where a frame's length should is none: another protocol begins so, or it is more than a client of Riemann can announce. */
  | 'NOT_FRAMED'
  | 'TOO_MANY_EVENTS'
  | 'TOO_MANY_TAGS'
  | 'TOO_MANY_ATTRIBUTES'
  | 'TEXT_TOO_LONG'
  | 'QUERY_TOO_LONG'
  /** A field of an event to be sent cannot be expressed on the wire. */
  | 'UNENCODABLE'
  /** A dump of a symbol table that this release cannot read. */
  | 'DUMP_UNREADABLE'

/** Bytes that are no Riemann message, or one beyond a limit. Never retried: the same bytes fail again. */
export class CodecError extends Error {
  override readonly name = 'CodecError'
  readonly retriable = false
  constructor(
    readonly code: CodecErrorCode,
    message: string,
    /** Where in the bytes, when that is known. */
    readonly offset?: number,
    options?: ErrorOptions,
  ) {
    super(offset === undefined ? message : `${message} (at byte ${offset})`, options)
  }
}

/** What a client fails with; see ClientError. */
export type ClientErrorCode =
  /** A client was made with an option out of its range. */
  | 'OPTION_INVALID'
  /** The client was closed by its owner. */
  | 'CLOSED'
  /** As many messages as allowed wait for their answers already: wait for some of them first. */
  | 'OVERLOADED'
  /** There was no connection in time, or no way to send a datagram: the message was not sent. */
  | 'UNREACHABLE'
  /** No answer came in time. The server may have taken the message or not. */
  | 'TIMEOUT'
  /** The connection ended before the answer came. The server may have taken the message or not. */
  | 'CONNECTION_LOST'
  /** The server answered `ok: false`; the message is its text. Retriable where a Ricci server could not take it for now. */
  | 'REFUSED'
  /** The server sent bytes that are no Riemann message. */
  | 'BAD_REPLY'

/** Why a message was not acknowledged, with a stable code; `retriable` says whether sending it again may help. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  constructor(
    readonly code: ClientErrorCode,
    message: string,
    readonly retriable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
