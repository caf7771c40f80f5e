import { ElectionError } from './errors.ts'
import type { Json, LeaseStore } from './store.ts'

/** A name of a group, a candidate or a member. @throws ElectionError `OPTION_INVALID` */
export function nameOf(name: string, option: string): string {
  if (typeof name === 'string' && /^[\w.@:-]{1,128}$/.test(name)) return name
  const said = `${option} is ${JSON.stringify(name)}; use 1 to 128 letters, digits and . _ - : @`
  throw new ElectionError('OPTION_INVALID', said, false)
}

/** One of a few words: a misspelt one must not pass for the weakest. @throws ElectionError `OPTION_INVALID` */
export function oneOf<Word extends string | boolean>(word: Word, words: readonly Word[], option: string): Word {
  if (words.includes(word)) return word
  const said = `${option} is ${JSON.stringify(word)}; use ${words.map((each) => JSON.stringify(each)).join(' or ')}`
  throw new ElectionError('OPTION_INVALID', said, false)
}

/** What can be written as JSON, as whoever reads it will find it: a copy. @throws ElectionError `OPTION_INVALID` */
export function jsonOf(data: Json): Json {
  try {
    const text = JSON.stringify(data) as string | undefined
    if (text !== undefined) return JSON.parse(text) as Json
  } catch {
    // Said below.
  }
  throw new ElectionError(
    'OPTION_INVALID',
    'data cannot be written as JSON; publish plain objects, lists, texts and numbers',
    false,
  )
}

/** A store, not its address. @throws ElectionError `OPTION_INVALID` */
export function storeOf(store: LeaseStore): LeaseStore {
  if (typeof (store as LeaseStore | undefined)?.open === 'function') return store
  throw new ElectionError('OPTION_INVALID', 'store is none; give consul(…), etcd(…), postgres(…) or memory()', false)
}
