/**
 * Riemann's `~=`: a regular expression of Java's kind, found anywhere in the text, run by re2js in time linear in the text
 * however it is written. What differs between Java and RE2 is translated (line ends, `$`, `\s`, `\p{Alpha}`, `\Z`, `\h`, `\R`);
 * what no linear engine can do, or would read otherwise, is refused: look-around, back-references, possessive quantifiers,
 * atomic groups, classes within classes, flags other than i, m, s, u, more than 1,000 repetitions.
 */
import { RE2JS } from 're2js'
import { QueryError } from './errors.ts'

/** A pattern that is matched in linear time. */
export interface CompiledRegex {
  /** States of its automaton. */
  readonly states: number
  /** Characters (UTF-16 units) that are looked at: where a text is longer, its beginning is taken for the whole. */
  readonly looksAt: number
  /** No text of fewer characters matches; perhaps none of as many. */
  readonly needs: number
  test(text: string): boolean
}

/** RE2's own bound on `{n}`: the automaton has a state for each. */
const repetitionLimit = 1_000

/**
 * Longest pattern taken, also with its repetitions written out: each character may become several states of the automaton. (As many
 * `a{1000}` as 4,096 characters hold took 3 s and 75 MB to compile, and `[a-z]{1000}` as long for a text of 8 KiB.)
 */
export const patternLengthLimit = 4_096

/**
 * Steps that one text may take: characters looked at times states of the automaton. RE2's time is linear, and still 20 to 60 ns a step at worst, where no
 * table of its own serves: `[a-z]{1000}` four times took 0.4 s and more for 8 KiB, \p{L} as often twice that, on the engine's thread. These many
 * are about 40 ms at worst and seldom a tenth of it.
 */
export const stepLimit = 750_000

/**
 * Compiles a pattern of Java's syntax to one that is matched in linear time.
 * @param place the query and the place of the pattern in it, for errors
 * @throws QueryError `regex` for a pattern that is wrong in Java too, `regex-unsupported` for one we refuse to run
 */
export function compileRegex(
  pattern: string,
  place: { readonly text: string; readonly position: number } = { text: pattern, position: 0 },
): CompiledRegex {
  const translation = new Translation(pattern, place)
  const translated = translation.run()
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(translated)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const fault = /repe(?:at|tition) (?:count|size)|too large|nests too/.test(reason) ? 'regex-unsupported' : 'regex'
    throw new QueryError(fault, `the regular expression ${pattern} is wrong: ${reason}`, place.text, place.position)
  }
  const states = compiled.programSize()
  const looksAt = Math.floor(stepLimit / states)
  const needs = translation.shortest
  if (needs > looksAt) {
    const problem = `the regular expression ${pattern} needs ${needs} characters and takes ${states} states: with so many only the first ${looksAt} characters of a text are looked at; repeat less often`
    throw new QueryError('regex-unsupported', problem, place.text, place.position)
  }
  return {
    states,
    looksAt,
    needs,
    test: (text) => compiled.test(text.length > looksAt ? text.slice(0, looksAt) : text),
  }
}

interface Flags {
  readonly multiline: boolean
  readonly dotAll: boolean
}

/** What stood before a group that is open. */
interface Outer {
  readonly flags: Flags
  readonly written: number
  readonly least: Least
}

/** The fewest characters that match: of the alternatives before, of this one so far, and what its last element has of these. Never too many. */
interface Least {
  readonly before: number
  now: number
  last: number
}

/** Elements without a character of their own, and the first half of one that is written as two. */
const takesNone = /^(?:[\^$\ud800-\udbff]|\\[AzZbB])/

const lineEnds = '\\n\\r\\x{85}\\x{2028}\\x{2029}'
const notLineEnd = `[^${lineEnds}]`
/** Java's `$` and `\Z`: the end, or before one line end at the end. Consuming that one changes no verdict of a mere test. */
const endOfText = `(?:(?:\\r\\n|[${lineEnds}])?\\z)`
/** Java's classes that RE2 lacks or reads otherwise, as they stand inside brackets. */
const classes: Readonly<Record<string, string>> = {
  s: '\\t-\\r ',
  S: '\\x00-\\x08\\x0e-\\x1f!-\\x{10ffff}',
  h: ' \\t\\x{a0}\\x{1680}\\x{180e}\\x{2000}-\\x{200a}\\x{202f}\\x{205f}\\x{3000}',
  v: '\\n-\\r\\x{85}\\x{2028}\\x{2029}',
}
const posix = new Set('Lower Upper ASCII Alpha Digit Alnum Punct Graph Print Blank Cntrl XDigit Space'.split(' '))

const noneYet = (): Least => ({ before: Infinity, now: 0, last: 0 })

class Translation {
  private at = 0
  private flags: Flags = { multiline: false, dotAll: false }
  private readonly outer: Outer[] = []
  /** Elements so far with repetitions written out, and how many there were before the last one or the last group. */
  private written = 0
  private before = 0
  private least: Least = noneYet()

  constructor(
    private readonly pattern: string,
    private readonly place: { readonly text: string; readonly position: number },
  ) {}

  /** No shorter text matches; known once it ran. */
  get shortest(): number {
    return Math.min(this.least.before, this.least.now)
  }

  run(): string {
    const { pattern } = this
    if (pattern.length > patternLengthLimit) {
      this.refuse('regex-unsupported', `it is longer than ${patternLengthLimit} characters`)
    }
    let out = ''
    while (this.at < pattern.length) {
      const from = this.at
      const char = pattern[from]
      out += this.step(char)
      if ('()*+?{'.includes(char)) continue
      this.before = this.written
      const quotes = pattern.startsWith('\\Q', from)
      // a quotation has an element for each of its characters
      this.written += quotes ? this.at - from : 1
      if (char === '|') this.least = { before: this.shortest, now: 0, last: 0 }
      else if (!quotes) this.needs(takesNone.test(pattern.slice(from, from + 2)) ? 0 : 1)
    }
    return out
  }

  private step(char: string): string {
    switch (char) {
      case '\\':
        return this.escape(false)
      case '[':
        return this.charClass()
      case '(':
        return this.group()
      case ')': {
        this.at++
        const { shortest } = this
        const { flags, written, least } = this.outer.pop() ?? { flags: this.flags, written: 0, least: noneYet() }
        this.flags = flags
        this.before = written
        this.least = least
        this.needs(shortest)
        return char
      }
      case '.':
        this.at++
        return this.flags.dotAll ? '(?s:.)' : notLineEnd
      case '$':
        this.at++
        return this.flags.multiline ? '(?m:$)' : endOfText
      case '^':
        this.at++
        return this.flags.multiline ? '(?m:^)' : '\\A'
      case '*':
      case '+':
      case '?':
      case '{':
        return this.quantifier()
      default:
        return this.take(char.length)
    }
  }

  private quantifier(): string {
    const found = /^(?:[*+?]|\{(\d+)(?:,(\d*))?\})/.exec(this.pattern.slice(this.at))
    if (found === null) return this.refuse('regex', 'this { begins no repetition; a mere brace is written \\\\{')
    const [text, least, most] = found
    if (Math.max(Number(least ?? 0), Number(most ?? 0)) > repetitionLimit) {
      this.refuse('regex-unsupported', `more than ${repetitionLimit} repetitions`)
    }
    if (least !== undefined) {
      this.written += (this.written - this.before) * (Math.max(1, Number(least), Number(most ?? 0)) - 1)
      if (this.written > patternLengthLimit) {
        this.refuse(
          'regex-unsupported',
          `its repeat counts, written out, make it longer than ${patternLengthLimit} characters`,
        )
      }
    }
    const times = least === undefined ? Number(text === '+') : Number(least)
    this.least.now += this.least.last * (times - 1)
    this.least.last *= times
    this.at += text.length
    // asks for the fewest rather than the most: no other matches for that
    if (this.pattern[this.at] === '?') return text + this.take(1)
    if (this.pattern[this.at] === '+') {
      this.refuse('regex-unsupported', `the possessive quantifier ${text}+ is not supported; write ${text}`)
    }
    return text
  }

  private group(): string {
    this.outer.push({ flags: this.flags, written: this.written, least: this.least })
    this.least = noneYet()
    const rest = this.pattern.slice(this.at)
    if (!rest.startsWith('(?')) return this.take(1)
    const named = /^\(\?P?<[a-zA-Z][a-zA-Z0-9]*>/.exec(rest)
    if (named !== null) return this.take(named[0].length)
    if (/^\(\?<?[=!]/.test(rest)) {
      this.refuse(
        'regex-unsupported',
        'look-ahead and look-behind are not supported; join two conditions with and, and not',
      )
    }
    if (rest.startsWith('(?>')) this.refuse('regex-unsupported', 'atomic groups are not supported; write (?:…)')
    const flags = /^\(\?([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])/.exec(rest)
    if (flags === null) return this.refuse('regex', 'this group is none')
    const [text, on, off = '', end] = flags
    for (const flag of on + off) {
      if ('imsu'.includes(flag)) continue
      const known = 'dxU'.includes(flag)
      this.refuse(known ? 'regex-unsupported' : 'regex', `the flag ${flag} is not supported; there are i, m, s and u`)
    }
    this.at += text.length
    // A flag without a group of its own holds to the end of the group around it, whose own flags were kept already.
    if (end === ')') this.least = this.outer.pop()!.least
    this.flags = {
      multiline: (this.flags.multiline || on.includes('m')) && !off.includes('m'),
      dotAll: (this.flags.dotAll || on.includes('s')) && !off.includes('s'),
    }
    const caseFlag = on.includes('i') ? 'i' : off.includes('i') ? '-i' : ''
    if (end === ':') return `(?${caseFlag}:`
    return caseFlag === '' ? '' : `(?${caseFlag})`
  }

  private charClass(): string {
    const opened = /^\[\^?\]?/.exec(this.pattern.slice(this.at))![0]
    let out = this.take(opened.length).replace(']', '\\]')
    for (;;) {
      const char = this.pattern[this.at]
      if (char === undefined) return this.refuse('regex', 'this [ is never closed')
      if (char === ']') return out + this.take(1)
      if (char === '[')
        this.refuse('regex-unsupported', 'a class within a class is not supported; a mere bracket is \\\\[')
      if (this.pattern.startsWith('&&', this.at)) {
        this.refuse('regex-unsupported', 'the intersection && is not supported; a mere ampersand is \\\\&')
      }
      out += char === '\\' ? this.escape(true) : this.take(1)
    }
  }

  private escape(inClass: boolean): string {
    const rest = this.pattern.slice(this.at + 1)
    const char = rest[0]
    if (char === undefined) return this.refuse('regex', 'it ends in a backslash')
    const bracketed = (inside: string): string => (inClass ? inside : `[${inside}]`)
    if (classes[char] !== undefined) {
      this.at += 2
      return bracketed(classes[char])
    }
    if (/^[nrtfadDwW]/.test(rest)) return this.take(2)
    if (!/^[a-zA-Z0-9]/.test(rest)) return this.literal(rest.codePointAt(0)!)
    const code = /^(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|x\{([0-9a-fA-F]+)\}|0([0-3]?[0-7]{1,2})|(e))/.exec(rest)
    if (code !== null) {
      const [text, unicode, short, long, octal] = code
      this.at += 1 + text.length
      const hex = unicode ?? short ?? long ?? (octal === undefined ? '1b' : Number.parseInt(octal, 8).toString(16))
      return `\\x{${hex}}`
    }
    const property = /^([pP])(?:\{\^?(?:Is)?(\w+)\}|([A-Z]))/.exec(rest)
    if (property !== null) {
      const [text, letter, long, short] = property
      this.at += 1 + text.length
      if (!posix.has(long)) return `\\${letter}{${long ?? short}}`
      return bracketed(`[:${letter === 'P' ? '^' : ''}${long.toLowerCase()}:]`)
    }
    if (!inClass) {
      if (/^[AzbB]/.test(rest)) return this.take(2)
      if (char === 'Z') return this.take(2) && endOfText
      if (char === 'R') return this.take(2) && `(?:\\r\\n|[${classes.v}])`
      if (char === 'Q') return this.quotation()
      if (/^[1-9]/.test(rest) || rest.startsWith('k<')) {
        return this.refuse('regex-unsupported', 'back-references are not supported')
      }
    }
    const fault = /^[GXN]/.test(rest) ? 'regex-unsupported' : 'regex'
    return this.refuse(fault, `\\${char} is not supported${inClass ? ' inside brackets' : ''}`)
  }

  private quotation(): string {
    const start = this.at + 2
    const end = this.pattern.indexOf('\\E', start)
    const text = end === -1 ? this.pattern.slice(start) : this.pattern.slice(start, end)
    this.at = end === -1 ? this.pattern.length : end + 2
    for (const char of text) this.needs(char.length)
    return RE2JS.quote(text)
  }

  /** An escaped character for itself; by its number, because a bare hyphen would make a range within brackets. */
  private literal(codePoint: number): string {
    this.at += codePoint > 0xffff ? 3 : 2
    return `\\x{${codePoint.toString(16)}}`
  }

  /** One more element, of so many characters at least. */
  private needs(characters: number): void {
    this.least.now += characters
    this.least.last = characters
  }

  private take(length: number): string {
    this.at += length
    return this.pattern.slice(this.at - length, this.at)
  }

  private refuse(fault: 'regex' | 'regex-unsupported', problem: string): never {
    const where = `in the regular expression ${this.pattern}, at character ${this.at + 1}: `
    throw new QueryError(fault, where + problem, this.place.text, this.place.position)
  }
}
