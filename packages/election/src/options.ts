import { ElectionError } from './errors.ts'

/** A name of a group, a candidate or a member. @throws ElectionError `OPTION_INVALID` */
export function nameOf(name: string, option: string): string {
  if (typeof name === 'string' && /^[\w.@:-]{1,128}$/.test(name)) return name
  const said = `${option} is ${JSON.stringify(name)}; use 1 to 128 letters, digits and . _ - : @`
  throw new ElectionError('OPTION_INVALID', said, false)
}

/** One of a few words: a misspelt one must not pass for the weakest. @throws ElectionError `OPTION_INVALID` */
export function oneOf<Word extends string>(word: Word, words: readonly Word[], option: string): Word {
  if (words.includes(word)) return word
  const said = `${option} is ${JSON.stringify(word)}; use ${words.map((each) => `"${each}"`).join(' or ')}`
  throw new ElectionError('OPTION_INVALID', said, false)
}
