/**
 * Texts that rules make: keys, values of functions, fields of new events. When the table of texts is full none of them may pass for
 * another, or for nothing: two different texts would look equal, a `changed` would see no change, a `by` would put strangers into
 * one fork. So the branch that needs the text ends there for this event, before it stores anything; the event goes on in all others.
 * A limit is no rule's error: each such text is counted by the table (`refusedTexts`), and told of once a minute (`symbols-full`).
 * Texts that nothing names any more are given back every five to ten minutes; then it works again.
 *
 * (Events that arrive with a new text then are refused as a whole; see `Arrivals`.)
 */
import type { InternTable } from '@ricci/client'
import { EngineError } from '../errors.ts'

/** The id of a text. @throws EngineError `TEXTS_FULL` */
export function madeText(table: InternTable, text: string): number {
  return there(table.internText(text))
}

/** The id of a set of tags. @throws EngineError `TEXTS_FULL` */
export function madeTags(table: InternTable, ids: readonly number[]): number {
  return ids.length === 0 ? 0 : there(table.internTags(ids))
}

/** The id of a set of attributes, keys and values in turn. @throws EngineError `TEXTS_FULL` */
export function madeAttributes(table: InternTable, pairs: readonly number[]): number {
  return pairs.length === 0 ? 0 : there(table.internAttributes(pairs))
}

/** What is thrown where a text of a rule's own finds no room. */
export function textsFull(): EngineError {
  return new EngineError(
    'TEXTS_FULL',
    'the table of texts is full, so this text cannot be told from others; raise the setting `symbols`, or make fewer different texts in rules',
  )
}

function there(id: number): number {
  if (id === 0) throw textsFull()
  return id
}
