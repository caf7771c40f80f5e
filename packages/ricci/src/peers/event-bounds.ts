/** Where the events of a page stand, in either form: to count them, and to cut a page between two of them. */
import { MsgPeek } from '@ricci/client'
import type { AnswerForm } from '../server/worker-protocol.ts'

const peek = new MsgPeek()

/** The events of a page of Msg fields: start and end of each one's bytes, in turn. */
export function eventsIn(page: Uint8Array): number[] {
  const bounds: number[] = []
  peek.open(page)
  while (peek.next()) bounds.push(peek.start, peek.end)
  return bounds
}

/** The first events of a page, at most so many (one at least), and how many they are. */
export function headOf(page: Uint8Array, most: number, form: AnswerForm): { head: Uint8Array; count: number } {
  return form === 'msg' ? headOfMsg(page, most) : headOfJson(page, most)
}

function headOfMsg(page: Uint8Array, most: number): { head: Uint8Array; count: number } {
  const bounds = eventsIn(page)
  const count = bounds.length / 2
  return count <= most ? { head: page, count } : { head: page.subarray(0, bounds[2 * most - 1]), count: most }
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const [open, shut] = [0x7b, 0x7d]
const [openList, shutList] = [0x5b, 0x5d]

/** JSON texts joined by commas: those outside of all braces part them. */
function headOfJson(page: Uint8Array, most: number): { head: Uint8Array; count: number } {
  let depth = 0
  let count = 1
  for (let at = 0; at < page.length; at++) {
    const byte = page[at]
    if (byte === quote) {
      for (at++; page[at] !== quote && at < page.length; at++) if (page[at] === backslash) at++
    } else if (byte === open || byte === openList) depth++
    else if (byte === shut || byte === shutList) depth--
    else if (byte === comma && depth === 0) {
      if (count === most) return { head: page.subarray(0, at), count }
      count++
    }
  }
  return { head: page, count }
}
