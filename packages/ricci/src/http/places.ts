/**
 * Where a watch stands, of all partitions, as a text that goes through headers and addresses: `LOG/0:1234.5,1:88`, for each partition the offset of a record and, where
 * it is not the first, the number of a change that it makes. It means the same to every instance; in another log, nothing.
 */
import type { PagePlaces, WatchPlace } from './backend.ts'

/** Of a log of a thousand partitions, each with the longest offset. */
export const maxTokenLength = 32_768

const form = /^\d{1,4}:\d{1,15}(\.\d{1,8})?(,\d{1,4}:\d{1,15}(\.\d{1,8})?)*$/

/** Where a watch stands, from the token that it began with on. */
export class Places {
  /** What that token says; empty for who begins. */
  readonly from: readonly WatchPlace[]
  /** What is wrong with the token, for who watches: it is told anew. */
  readonly gap: string | undefined
  private readonly texts: string[] = []

  /** @param token as it was given, or nothing */
  constructor(
    private readonly logId: string,
    token = '',
  ) {
    const slash = token.lastIndexOf('/')
    const list = token.slice(slash + 1)
    const isOurs = token.length <= maxTokenLength && token.slice(0, slash) === logId && form.test(list)
    this.from = isOurs ? list.split(',').map(placeIn) : []
    this.gap =
      isOurs || token === ''
        ? undefined
        : 'what changed since the place that was given is missing: it is none of this log'
    for (const { partition, offset, nth } of this.from) this.note(partition, offset, nth)
  }

  /** The token. */
  toString(): string {
    return `${this.logId}/${this.texts.filter(Boolean).join(',')}`
  }

  /**
   * The lines of a page, each with the token after it where there is one; of a page without lines a token alone.
   * @param lines JSON texts, a newline after each
   */
  *along(lines: Uint8Array, at: PagePlaces | undefined): Generator<Told, void, undefined> {
    for (let from = 0, i = 0; from < lines.length; i += 2) {
      const end = lines.indexOf(newline, from)
      const line = lines.subarray(from, end)
      from = end + 1
      if (at === undefined) yield { line }
      else {
        this.note(at.partition, at.after[i], at.after[i + 1])
        yield { line, token: this.toString() }
      }
    }
    if (lines.length > 0 || at === undefined) return
    this.note(at.partition, at.after[0], at.after[1])
    yield { token: this.toString() }
  }

  private note(partition: number, offset: number, nth: number): void {
    this.texts[partition] = `${partition}:${offset}${nth === 0 ? '' : `.${nth}`}`
  }
}

/** A JSON text without its newline, and where who watches goes on after it. */
export interface Told {
  readonly line?: Uint8Array
  readonly token?: string
}

/** Both as one JSON text, so that neither comes without the other: `{"at": TOKEN, "event": …}`. */
export function placedText({ line, token }: Told): Buffer {
  const at = token === undefined ? '' : `"at":"${token}"`
  if (line === undefined) return Buffer.from(`{${at}}`)
  return Buffer.concat([Buffer.from(`{${at}${at && ','}"event":`), line, Buffer.from('}')])
}

/** The place after a whole page. */
export function placeAfter({ partition, after }: PagePlaces): WatchPlace {
  const [offset, nth] = after.slice(-2)
  return { partition, offset, nth }
}

function placeIn(text: string): WatchPlace {
  const [partition, offset, nth = 0] = text.split(/[:.]/).map(Number)
  return { partition, offset, nth }
}

const newline = 0x0a
