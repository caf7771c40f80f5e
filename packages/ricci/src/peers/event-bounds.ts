/** Where the events of a page stand, in either form: to count them, and to cut a page between two of them. */
import { MsgPeek } from '@ricci/client'
import { betweenTexts, type AnswerForm } from '../server/worker-protocol.ts'

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

const newline = 0x0a

/** JSON texts with what stands between two of them: a newline ends it. */
function headOfJson(page: Uint8Array, most: number): { head: Uint8Array; count: number } {
  let count = 1
  for (let at = page.indexOf(newline); at >= 0; at = page.indexOf(newline, at + 1)) {
    if (count === most) return { head: page.subarray(0, at + 1 - betweenTexts.length), count }
    count++
  }
  return { head: page, count }
}
