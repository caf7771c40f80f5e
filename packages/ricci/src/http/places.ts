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
  along(lines: Uint8Array, at: PagePlaces | undefined): Told[] {
    // a character for each byte: what is cut is put together again as it was
    const texts = Buffer.from(lines.buffer, lines.byteOffset, lines.length).toString('latin1').split('\n')
    texts.pop()
    if (at === undefined) return texts.map((line) => ({ line }))
    const { partition, after } = at
    const before = this.texts.slice(0, partition).filter(Boolean)
    const behind = this.texts.slice(partition + 1).filter(Boolean)
    const head = `${this.logId}/${before.map((text) => `${text},`).join('')}`
    const tail = behind.map((text) => `,${text}`).join('')
    return Array.from({ length: after.length / 2 }, (_, i) => {
      this.note(partition, after[2 * i], after[2 * i + 1])
      return { line: texts.at(i), token: `${head}${this.texts[partition]}${tail}` }
    })
  }

  private note(partition: number, offset: number, nth: number): void {
    this.texts[partition] = `${partition}:${offset}${nth === 0 ? '' : `.${nth}`}`
  }
}

/** A JSON text, a character for each byte, and where who watches goes on after it. */
export interface Told {
  readonly line?: string
  readonly token?: string
}

/** Both as one JSON text, so that neither comes without the other: `{"at": TOKEN, "event": …}`. */
export function placedText({ line, token }: Told): string {
  const at = token === undefined ? '' : `"at":"${token}"`
  return line === undefined ? `{${at}}` : `{${at}${at && ','}"event":${line}}`
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
