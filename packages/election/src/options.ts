import { ElectionError } from './errors.ts'
import type { Json, LeaseStore } from './store.ts'

/** How much a member may publish, in bytes of JSON: everybody reads it with every confirm. */
const maxDataBytes = 16 * 1024

/** How long an action's id may be, in bytes: PostgreSQL takes 2704 in an index's entry, which has the group's name and the candidate's, too. */
const maxActionIdBytes = 2048

/** A name of a group, a candidate or a member. `.` and `..` are none, since paths of URLs have no such parts. @throws ElectionError `OPTION_INVALID` */
export function nameOf(name: string, option: string): string {
  if (typeof name === 'string' && /^(?!\.{1,2}$)[\w.@:-]{1,128}$/.test(name)) return name
  const said = `${option} is ${JSON.stringify(name)}; use 1 to 128 letters, digits and . _ - : @, and not . or .. alone`
  throw invalid(said)
}

/** What names an action. A text that UTF-8 cannot say would be another action's in some store. @throws ElectionError `OPTION_INVALID` */
export function actionIdOf(id: string): string {
  if (typeof id !== 'string')
    throw invalid(`an action's id is of type ${typeof id}; use a text, and always the same one for an action`)
  const bytes = Buffer.from(id)
  if (bytes.length === 0 || bytes.length > maxActionIdBytes) {
    throw invalid(`an action's id has ${bytes.length} bytes; use 1 to ${maxActionIdBytes}, of what is longer a hash`)
  }
  if (id.includes('\0') || bytes.toString() !== id) {
    throw invalid(
      `the action's id ${JSON.stringify(id)} has a zero or half a surrogate pair, which no store keeps; encode it`,
    )
  }
  return id
}

/** One of a few words: a misspelt one must not pass for the weakest. @throws ElectionError `OPTION_INVALID` */
export function oneOf<Word extends string | boolean>(word: Word, words: readonly Word[], option: string): Word {
  if (words.includes(word)) return word
  const said = `${option} is ${JSON.stringify(word)}; use ${words.map((each) => JSON.stringify(each)).join(' or ')}`
  throw invalid(said)
}

/** What a member publishes, as whoever reads it will find it: a copy. @throws ElectionError `OPTION_INVALID` */
export function dataOf(data: Json): Json {
  let text: string | undefined
  try {
    text = JSON.stringify(data)
  } catch {
    // Said below.
  }
  if (text === undefined) {
    throw invalid('data cannot be written as JSON; publish plain objects, lists, texts and numbers')
  }
  const bytes = Buffer.byteLength(text)
  if (bytes > maxDataBytes) throw invalid(`data has ${bytes} bytes; a member may publish ${maxDataBytes}`)
  return JSON.parse(text) as Json
}

/** A store, not its address. @throws ElectionError `OPTION_INVALID` */
export function storeOf(store: LeaseStore): LeaseStore {
  if (typeof (store as LeaseStore | undefined)?.open === 'function') return store
  throw invalid('store is none; give consul(…), etcd(…), postgres(…) or memory()')
}

/** An option that cannot be. */
export function invalid(message: string): ElectionError {
  return new ElectionError('OPTION_INVALID', message, false)
}
