/**
 * Metrics as exporters write them: Prometheus' text format 0.0.4, and OpenMetrics 1.0. One parser reads both: they differ in the unit of timestamps, the names
 * of counters, and the end.
 *
 * Definitions: https://prometheus.io/docs/instrumenting/exposition_formats, https://prometheus.io/docs/specs/om/open_metrics_spec.
 */

export interface Sample {
  readonly name: string
  readonly labels: readonly (readonly [name: string, value: string])[]
  /** Maybe NaN, or infinite. */
  readonly value: number
  /** Milliseconds since 1970, where the exporter says when it was. */
  readonly timeMs?: number
  /** It only grows, until the program starts anew. */
  readonly isCounter: boolean
}

/** What was read is no exposition; the message names the line. */
export class ExpositionError extends Error {
  override readonly name = 'ExpositionError'
}

/** The longest line that is read: an exporter's own are a few hundred bytes; the sum of all labels of a series is bounded by this, too. */
const maxLineBytes = 64 * 1024

/**
 * The samples of an exposition, in its order. Exemplars are left out, and so is the time at which a series was created.
 * @param isOpenMetrics what the answer's content type says
 * @throws ExpositionError at the first line that is none; in OpenMetrics as well where the end is missing: it was cut off
 */
export function* samplesOf(body: Uint8Array, isOpenMetrics: boolean): Generator<Sample> {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const families = new Families()
  let number = 0
  for (let from = 0; from < text.length;) {
    number++
    const at = text.indexOf(newline, from)
    const to = at < 0 ? text.length : at
    if (to - from > maxLineBytes) throw new ExpositionError(`line ${number} is longer than ${maxLineBytes} bytes`)
    // decoded line by line: a part of one text of megabytes would keep all of it in memory
    const line = text.toString('utf8', from, to).trim()
    from = to + 1
    try {
      if (line === '# EOF' && isOpenMetrics) return
      if (line.startsWith('#')) families.read(line)
      else if (line !== '') {
        const sample = parseSample(line, isOpenMetrics, families)
        if (sample !== undefined) yield sample
      }
    } catch (error) {
      if (error instanceof ExpositionError) throw new ExpositionError(`line ${number}: ${error.message}`)
      throw error
    }
  }
  if (isOpenMetrics) throw new ExpositionError('it ends before "# EOF": it was cut off')
}

const newline = 10

type Kind = 'counter' | 'created' | 'other'

/** What samples of a family are called beyond its name, and which of them grow, by the family's type. */
const suffixes: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  counter: { '': 'counter', _total: 'counter', _created: 'created' },
  histogram: { _bucket: 'counter', _sum: 'counter', _count: 'counter', _created: 'created' },
  summary: { _sum: 'counter', _count: 'counter', _created: 'created' },
}

/** The types that `# TYPE` lines told so far. */
class Families {
  readonly #types = new Map<string, string>()
  /** Samples of one name follow each other. */
  #last = ''
  #kind: Kind = 'other'

  read(line: string): void {
    const words = /^#[ \t]+TYPE[ \t]+(.*?)[ \t]+(\w+)$/.exec(line)
    if (words === null) return
    const [, name, type] = words
    this.#types.set(name.startsWith('"') ? quoted(name, 0).text : name, type)
    this.#last = ''
  }

  kindOf(name: string): Kind {
    if (name !== this.#last) {
      this.#last = name
      this.#kind = this.#find(name)
    }
    return this.#kind
  }

  #find(name: string): Kind {
    const own = this.#types.get(name)
    if (own !== undefined) return suffixes[own]?.[''] ?? 'other'
    const at = name.lastIndexOf('_')
    const type = at < 0 ? undefined : this.#types.get(name.slice(0, at))
    if (type !== undefined) return suffixes[type]?.[name.slice(at)] ?? 'other'
    // of a program that says nothing of types the name is all that there is
    return name.endsWith('_total') ? 'counter' : 'other'
  }
}

const blanks = /[ \t]*/y
const metricName = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
const labelName = /[a-zA-Z_][a-zA-Z0-9_]*/y

function parseSample(line: string, isOpenMetrics: boolean, families: Families): Sample | undefined {
  let name = match(metricName, line, 0)
  let at = skip(line, name?.length ?? 0)
  const labels: [string, string][] = []
  if (line[at] === '{') {
    at = skip(line, at + 1)
    while (line[at] !== '}') {
      const label = line[at] === '"' ? quoted(line, at) : plain(line, at)
      at = skip(line, label.end)
      if (line[at] === '=') {
        const value = quoted(line, skip(line, at + 1))
        labels.push([label.text, value.text])
        at = skip(line, value.end)
      } else if (name === undefined && line[label.end - 1] === '"') {
        // a name with letters of all kinds stands in quotes among the labels
        name = label.text
      } else throw new ExpositionError(`after ${shown(label.text)} "=" is missing`)
      if (line[at] === ',') at = skip(line, at + 1)
      else if (line[at] !== '}') throw new ExpositionError('labels end without "}"')
    }
    at++
  }
  if (name === undefined) throw new ExpositionError(`it begins with no name of a metric: ${shown(line)}`)
  const [value, time, hash] = line
    .slice(at)
    .trim()
    .split(/[ \t]+/, 3)
  if (value === undefined || value === '') throw new ExpositionError(`${shown(name)} has no value`)
  if (time !== undefined && time !== '#' && hash !== undefined && hash !== '#')
    throw new ExpositionError(`what follows the timestamp is no exemplar: ${shown(hash)}`)
  const kind = families.kindOf(name)
  if (kind === 'created') return undefined
  return {
    name,
    labels,
    value: valueOf(value),
    isCounter: kind === 'counter',
    ...(time !== undefined && time !== '#' && { timeMs: timeOf(time) * (isOpenMetrics ? 1000 : 1) }),
  }
}

interface Part {
  readonly text: string
  /** Where it ended. */
  readonly end: number
}

function plain(line: string, at: number): Part {
  const text = match(labelName, line, at)
  if (text === undefined) throw new ExpositionError(`there is no name of a label: ${shown(line.slice(at))}`)
  return { text, end: at + text.length }
}

function quoted(line: string, at: number): Part {
  if (line[at] !== '"') throw new ExpositionError(`a value of a label stands in quotes: ${shown(line.slice(at))}`)
  let end = at + 1
  let escapes = false
  for (; line[end] !== '"'; end++) {
    if (end >= line.length) throw new ExpositionError('a quote is not closed')
    if (line[end] === '\\') {
      escapes = true
      end++
    }
  }
  const text = line.slice(at + 1, end)
  return { text: escapes ? text.replaceAll(/\\([\\"n])/g, unescaped) : text, end: end + 1 }
}

function unescaped(_whole: string, letter: string): string {
  return letter === 'n' ? '\n' : letter
}

function match(pattern: RegExp, line: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(line)?.[0]
}

function skip(line: string, at: number): number {
  return line[at] === ' ' || line[at] === '\t' ? at + match(blanks, line, at)!.length : at
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const infinite = /^([+-]?)inf(?:inity)?$/i

function valueOf(text: string): number {
  if (decimal.test(text)) return Number(text)
  const infinity = infinite.exec(text)
  if (infinity !== null) return infinity[1] === '-' ? -Infinity : Infinity
  if (/^nan$/i.test(text)) return NaN
  throw new ExpositionError(`${shown(text)} is no number`)
}

function timeOf(text: string): number {
  if (decimal.test(text)) return Number(text)
  throw new ExpositionError(`${shown(text)} is no timestamp`)
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 39)}…` : text)
}
