/** Strings and numbers as queries write them, both ways. The escapes are EDN's (`clojure.lang.EdnReader`). */
import { QueryError } from './errors.ts'
import type { Operand } from './ast.ts'
import type { Token } from './lexer.ts'

const simpleEscapes: Readonly<Record<string, string>> = {
  t: '\t',
  r: '\r',
  n: '\n',
  b: '\b',
  f: '\f',
  '\\': '\\',
  '"': '"',
}

/** What ends an octal escape early without being part of it: EDN's macro characters, blanks and commas. */
const endsOctal = /[\s\x1c-\x1f,";^()[\]{}\\#]/

/**
 * The text a string token stands for.
 * @param query the whole query, for the error's excerpt
 * @throws QueryError `text` for an escape that does not exist
 */
export function readText(token: Token, query: string): string {
  const raw = token.text
  let text = ''
  let i = 1
  while (i < raw.length - 1) {
    const char = raw[i]
    if (char !== '\\') {
      text += char
      i++
      continue
    }
    const escaped = raw[i + 1]
    const refuse = (problem: string): QueryError => new QueryError('text', problem, query, token.position + i)
    if (simpleEscapes[escaped] !== undefined) {
      text += simpleEscapes[escaped]
      i += 2
    } else if (escaped === 'u') {
      const digits = /^[0-9a-fA-F]{4}/.exec(raw.slice(i + 2))
      if (digits === null) throw refuse('\\u needs four hexadecimal digits')
      text += String.fromCharCode(Number.parseInt(digits[0], 16))
      i += 6
    } else if (/[0-9]/.test(escaped)) {
      let digits = ''
      while (digits.length < 3 && /[0-9]/.test(raw[i + 1 + digits.length])) digits += raw[i + 1 + digits.length]
      const code = Number.parseInt(digits, 8)
      const next = raw[i + 1 + digits.length]
      if (/[89]/.test(digits) || code > 0o377 || (digits.length < 3 && !endsOctal.test(next))) {
        throw refuse('an octal escape is one to three digits from \\0 to \\377')
      }
      text += String.fromCharCode(code)
      i += 1 + digits.length
    } else {
      const hint = /[dDwWsSbB.*+?()[\]{}|^$]/.test(escaped) ? `; in a regular expression write \\\\${escaped}` : ''
      throw refuse(`\\${escaped} is no escape (those are \\" \\\\ \\n \\t \\r \\b \\f \\uXXXX and octal)${hint}`)
    }
  }
  return text
}

const needsEscape = /["\\\n\t\r\b\f]/g
const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '\b': '\\b',
  '\f': '\\f',
}

/** A string as a query writes it; {@link readText} reads it back. */
export function printText(text: string): string {
  return `"${text.replace(needsEscape, (char) => escapes[char])}"`
}

/**
 * The number a token stands for. Integers that a double holds exactly become numbers, others bigints.
 * @throws QueryError `number` for an integer beyond 64 bits without `N`, and for Java's `1L`
 */
export function readNumber(token: Token, query: string): Operand & { kind: 'number' } {
  const { text } = token
  if (/[nN]$/.test(text) && !text.endsWith('NaN')) {
    return { kind: 'number', value: exact(BigInt(text.slice(0, -1))), form: 'arbitrary' }
  }
  if (/[lL]$/.test(text)) {
    throw new QueryError('number', `write ${text.slice(0, -1)}: numbers carry no L`, query, token.position)
  }
  if (!/^-?[0-9]+$/.test(text)) return { kind: 'number', value: readDouble(text), form: 'double' }
  const value = BigInt(text)
  if (value !== BigInt.asIntN(64, value)) {
    throw new QueryError('number', `beyond 64 bits; write ${text}N`, query, token.position)
  }
  return { kind: 'number', value: exact(value), form: 'integer' }
}

function readDouble(text: string): number {
  return text.endsWith('NaN') ? NaN : Number(text)
}

function exact(value: bigint): number | bigint {
  const asNumber = Number(value)
  return Number.isSafeInteger(asNumber) ? asNumber : value
}

/** A number as a query writes it; {@link readNumber} reads it back with its form. */
export function printNumber(operand: Operand & { kind: 'number' }): string {
  if (operand.form === 'arbitrary') return `${operand.value}N`
  if (operand.form === 'integer') return String(operand.value)
  const value = Number(operand.value)
  if (Object.is(value, -0)) return '-0.0'
  const text = String(value).replace('e+', 'e')
  return /^-?[0-9]+$/.test(text) ? `${text}.0` : text
}
