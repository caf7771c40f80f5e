/**
 * What a command wrote, in the habit of Nagios' plugins and of programs that print events.
 *
 * Definition of the first: https://www.monitoring-plugins.org/doc/guidelines.html (output, performance data, threshold format).
 */
import type { Event } from '@ricci/client'
import { eventOfText } from '../../intake/json/json-body.ts'

/** One figure of the performance data. */
export interface Figure {
  readonly label: string
  readonly value: number
  readonly unit: string
  /** As written; empty where there is none. */
  readonly warning: string
  readonly critical: string
  readonly least: string
  readonly most: string
}

export interface Output {
  /** The first line, without what follows its "|". */
  readonly text: string
  /** The first line, where it is a number and nothing else. */
  readonly metric?: number
  readonly figures: readonly Figure[]
  readonly events: readonly Event[]
}

/** Plugins give a handful, those of storage and switches some dozen. */
const maxFigures = 200

/** As for a scraped target, by far: a command that has more to tell is an exporter. */
const maxEvents = 1_000

/** Descriptions are kept with each entry of the index. */
const maxTextCharacters = 1_000

/**
 * Lines that are JSON objects with a `service` are events, in the form of `POST /events`. The first of the others is the text; what follows a "|" there, and
 * from a line with "|" on, is performance data; a plain number is the metric.
 * @param nowSeconds the time of events that name none
 */
export function readOutput(stdout: string, nowSeconds: number): Output {
  const events: Event[] = []
  let text: string | undefined
  let data = ''
  let isData = false
  for (const line of stdout.split('\n')) {
    if (line.startsWith('{') && events.length < maxEvents) {
      const parsed = eventOfText(line, nowSeconds)
      if ('event' in parsed && parsed.event.service !== undefined) {
        events.push(parsed.event)
        continue
      }
    }
    const at = isData ? 0 : line.indexOf('|')
    if (text === undefined) {
      if (line.trim() === '') continue
      text = (at < 0 ? line : line.slice(0, at)).trim()
      if (at >= 0) data = line.slice(at + 1)
    } else if (at >= 0) {
      data += ` ${isData ? line : line.slice(at + 1)}`
      isData = true
    }
  }
  const isNumber = text !== undefined && decimal.test(text)
  return {
    text: (text ?? '').slice(0, maxTextCharacters),
    ...(isNumber && { metric: Number(text) }),
    figures: figuresOf(data),
    events,
  }
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i

/**
 * `'label'=value[unit];warning;critical;least;most`; a quote in a quoted label is doubled. Lengths are bounded, so that an output without sense is not searched
 * through again and again.
 */
const figure =
  /(?:'((?:[^']|''){0,200})'|([^\s=']{1,200}))=([^\s;]{0,100})(?:;([^\s;]{0,100}))?(?:;([^\s;]{0,100}))?(?:;([^\s;]{0,100}))?(?:;([^\s;]{0,100}))?;*(?!\S)/y
const blank = /\s/g
const word = /\S/g

const withUnit = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([^\d\s.+-]*)$/i

function figuresOf(data: string): Figure[] {
  const figures: Figure[] = []
  for (let at = find(word, data, 0); at >= 0 && figures.length < maxFigures;) {
    figure.lastIndex = at
    const match = figure.exec(data)
    const parsed = match === null ? undefined : ofMatch(match)
    if (parsed !== undefined) figures.push(parsed)
    const end = find(blank, data, match === null ? at : figure.lastIndex)
    at = end < 0 ? -1 : find(word, data, end)
  }
  return figures
}

function find(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from
  return pattern.exec(text)?.index ?? -1
}

function ofMatch(match: RegExpExecArray): Figure | undefined {
  const [, quoted, plain, value, warning = '', critical = '', least = '', most = ''] = match
  // "U" is a plugin's word for: not known
  const parts = withUnit.exec(value)
  if (parts === null) return undefined
  const label = quoted === undefined ? plain : quoted.replaceAll("''", "'")
  return { label, value: Number(parts[1]), unit: parts[2], warning, critical, least, most }
}

/** What a figure's own thresholds say of it; undefined where it has none that can be read. */
export function stateOfFigure({ value, warning, critical }: Figure): 'ok' | 'warning' | 'critical' | undefined {
  const [worse, worst] = [isAlert(value, warning), isAlert(value, critical)]
  if (worse === undefined && worst === undefined) return undefined
  return worst === true ? 'critical' : worse === true ? 'warning' : 'ok'
}

/** A range is `[@][start:]end`: outside of it is an alert, with "@" inside; `~` has no lower end, and a start not named is 0. */
function isAlert(value: number, range: string): boolean | undefined {
  const match = /^(@?)(?:([^:]*):)?(.*)$/.exec(range)
  if (range === '' || match === null) return undefined
  const [, at, start = '', end] = match
  const least = start === '~' ? -Infinity : start === '' ? 0 : numberOf(start)
  const most = end === '' ? Infinity : numberOf(end)
  if (Number.isNaN(least) || Number.isNaN(most)) return undefined
  const isInside = value >= least && value <= most
  return at === '' ? !isInside : isInside
}

function numberOf(text: string): number {
  return decimal.test(text) ? Number(text) : NaN
}
