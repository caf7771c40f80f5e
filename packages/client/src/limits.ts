/**
 * What intake accepts. Riemann itself has no limit at all (it was seen to take a Msg of 70 MB); a server that must stay up has to
 * know the most that one client can make it hold. Replies are not subject to these: an index may well be larger than a message.
 */
export interface Limits {
  readonly maxFrameBytes: number
  readonly maxEventsPerMsg: number
  readonly maxTagsPerEvent: number
  readonly maxAttributesPerEvent: number
  readonly maxSymbolBytes: number
  readonly maxTextBytes: number
  readonly maxQueryBytes: number
}

/** 40 times a message of 3,000 usual events (360 kB). Bounds what one connection can make the server buffer. */
export const maxFrameBytes = 16 * 1024 * 1024

/** A message is one record and is applied in one go: 50,000 events hold the engine for about 50 ms. */
export const maxEventsPerMsg = 50_000

/** People use up to a dozen. A set of tags is compared, hashed and shown as a whole. */
export const maxTagsPerEvent = 256

/** Cloud metadata brings 20 to 50. As for tags, the set is handled as a whole. */
export const maxAttributesPerEvent = 256

/**
 * Host, service, state, tags, names and values of attributes are kept once for all events in a table of limited size
 * (64 MiB): at this length it takes 8,000 different ones to fill it, so that a single event cannot.
 */
export const maxSymbolBytes = 8 * 1024

/** Descriptions carry stack traces (up to about 20 kB) and are kept per index entry; errors are of this kind too. */
export const maxTextBytes = 64 * 1024

/** The longest query, over TCP and HTTP alike: longer ones are a program's mistake, and parsing must stay short. */
export const maxQueryBytes = 64 * 1024

/** A producer's mark: its name, which is a host name (at most 255 bytes) with something before it, and three numbers. */
export const maxMarkBytes = 600

/** An index of 1,000,000 events in one answer to a query is about 130 MB. */
export const maxReplyBytes = 256 * 1024 * 1024

/** Riemann's UDP server reads no more of a datagram than this and drops what was cut. */
export const maxDatagramBytes = 16_384

/** The limits that apply where nothing else is said; the constants above give each its reason. */
export const defaultLimits: Limits = {
  maxFrameBytes,
  maxEventsPerMsg,
  maxTagsPerEvent,
  maxAttributesPerEvent,
  maxSymbolBytes,
  maxTextBytes,
  maxQueryBytes,
}
