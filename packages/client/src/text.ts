import { ByteTable } from './byte-table.ts'

/** A TextDecoder costs 300 ns and more for a short text; Node's own conversion of bytes known to be ASCII 60. */
const latin1Slice = (Buffer.prototype as unknown as { latin1Slice(start: number, end: number): string }).latin1Slice
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Longer texts are left to TextDecoder, which is faster there. */
const shortBytes = 256

/** The text of a slice of UTF-8; what is invalid becomes U+FFFD. */
export function textOf(bytes: Uint8Array, start: number, length: number): string {
  if (length <= shortBytes) {
    let any = 0
    for (let i = 0; i < length; i++) any |= bytes[start + i]
    if (any < 0x80) return latin1Slice.call(bytes as Buffer, start, start + length)
  }
  return decoder.decode(bytes.subarray(start, start + length))
}

/** The most a cache of texts holds: 16,384 texts of 64 bytes. */
const maxCachedTexts = 16_384
const maxCachedBytes = 1024 * 1024

/**
 * Texts by their bytes, for those that come again and again (hosts, services, states, tags): looking one up costs a third of
 * making it, and all events share one string. Emptied when full.
 */
export class TextCache {
  private readonly table = new ByteTable(maxCachedTexts, maxCachedBytes)
  private readonly texts: string[] = []

  text(bytes: Uint8Array, view: DataView, start: number, length: number): string {
    const known = this.table.find(view, start, length)
    if (known !== 0) return this.texts[known]
    const text = textOf(bytes, start, length)
    if (length > shortBytes) return text
    let id = this.table.add(bytes, view, start, length)
    if (id === 0) {
      this.table.clear()
      id = this.table.add(bytes, view, start, length)
    }
    this.texts[id] = text
    return text
  }
}
