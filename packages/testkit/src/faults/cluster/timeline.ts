/** A run as a picture: who owned what, what befell whom, when pages were decided and delivered, and how long each took. */
import type { Page } from './script.ts'

/** Something that befell somebody. */
export interface Span {
  readonly what: string
  readonly lane: string
  readonly fromMs: number
  toMs: number
}

/** What is drawn. Moments on one clock, in ms. */
export interface Timeline {
  readonly title: string
  readonly fromMs: number
  readonly toMs: number
  readonly spans: readonly Span[]
  readonly instances: readonly string[]
  readonly ownerships: readonly { readonly partition: number; readonly instance: string; readonly fromMs: number }[]
  readonly decidedMs: readonly number[]
  readonly deliveredMs: readonly number[]
  readonly pages: readonly Pick<Page, 'host' | 'sentMs' | 'arrivedMs'>[]
}

const width = 1_400
const left = 130
const right = 20
const laneHeight = 18
const chartHeight = 140
/** Pages are counted in columns of so many pixels. */
const columnWidth = 3
const ownerColours = ['#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377']
const faultColours: readonly (readonly [RegExp, string])[] = [
  [/killed/, '#b30000'],
  [/frozen/, '#5b5bd6'],
  [/cut|deaf/, '#e08e00'],
  [/./, '#7a7a7a'],
]
/** The scale of how long pages took: its lines, in ms. */
const scaleMs = [10, 100, 1_000, 10_000, 100_000]

/** Draws it. */
export function timeline(of: Timeline): string {
  const { fromMs, toMs, spans, instances, ownerships } = of
  const x = (atMs: number): number => {
    const share = (Math.min(Math.max(atMs, fromMs), toMs) - fromMs) / (toMs - fromMs)
    return round(left + share * (width - left - right))
  }
  const parts: string[] = []
  let y = 40
  const label = (text: string): void => void parts.push(`<text x="8" y="${y + 13}">${escape(text)}</text>`)

  for (const name of [...new Set(spans.map(({ lane }) => lane))].sort()) {
    label(name)
    for (const { what, fromMs: from, toMs: to } of spans.filter(({ lane }) => lane === name)) {
      const [, colour] = faultColours.find(([pattern]) => pattern.test(what))!
      parts.push(bar(x(from), y + 3, x(to) - x(from), laneHeight - 6, colour, `${what}, ${seconds(to - from)} s`))
    }
    y += laneHeight
  }
  y += 8
  const partitions = [...new Set(ownerships.map(({ partition }) => partition))].sort((a, b) => a - b)
  const ownedHeight = partitions.length > 4 ? 6 : laneHeight
  if (partitions.length > 0) label('owners')
  for (const partition of partitions) {
    const own = ownerships.filter((one) => one.partition === partition).sort((a, b) => a.fromMs - b.fromMs)
    for (const [at, { instance, fromMs: from }] of own.entries()) {
      const colour = ownerColours[instances.indexOf(instance) % ownerColours.length]
      const words = `partition ${partition}: ${instance} from ${seconds(from - fromMs)} s`
      parts.push(bar(x(from), y + 1, x(own[at + 1]?.fromMs ?? toMs) - x(from), ownedHeight - 2, colour, words))
    }
    y += ownedHeight
  }
  y += 12
  const isShown = (atMs: number): boolean => atMs >= fromMs && atMs <= toMs
  parts.push(...histogram(of.decidedMs.filter(isShown), of.deliveredMs.filter(isShown), x, y, label))
  y += chartHeight + 12
  parts.push(
    ...scatter(
      of.pages.filter(({ sentMs }) => isShown(sentMs)),
      x,
      y,
      label,
    ),
  )
  y += chartHeight
  parts.push(...axis(of, x, y), ...legend(instances))
  const height = y + 30
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="8" y="22" font-size="15">${escape(of.title)}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

/** Pages decided upwards, delivered downwards. */
function histogram(
  decidedMs: readonly number[],
  deliveredMs: readonly number[],
  x: (atMs: number) => number,
  top: number,
  label: (text: string) => void,
): string[] {
  label('pages decided ↑')
  const middle = top + chartHeight / 2
  const count = (moments: readonly number[]): Map<number, number> => {
    const columns = new Map<number, number>()
    for (const atMs of moments) {
      const column = Math.floor(x(atMs) / columnWidth) * columnWidth
      columns.set(column, (columns.get(column) ?? 0) + 1)
    }
    return columns
  }
  const [decided, delivered] = [count(decidedMs), count(deliveredMs)]
  const most = Math.max(1, ...decided.values(), ...delivered.values())
  const tall = (pages: number): number => round((pages / most) * (chartHeight / 2 - 2))
  return [
    `<text x="8" y="${middle + 26}">delivered ↓</text>`,
    ...Array.from(decided, ([column, pages]) =>
      bar(column, middle - tall(pages), columnWidth, tall(pages), '#888888', `${pages} decided`),
    ),
    ...Array.from(delivered, ([column, pages]) =>
      bar(column, middle, columnWidth, tall(pages), '#228833', `${pages} delivered`),
    ),
  ]
}

/** How long each page took, by when its event was sent; those that never came at the top, in red. */
function scatter(
  pages: Timeline['pages'],
  x: (atMs: number) => number,
  top: number,
  label: (text: string) => void,
): string[] {
  label('a page took')
  const [least, most] = [Math.log10(scaleMs[0]), Math.log10(scaleMs.at(-1)!)]
  const y = (ms: number): number => {
    const share = (Math.log10(Math.max(ms, scaleMs[0])) - least) / (most - least)
    return round(top + chartHeight - Math.min(1, share) * chartHeight)
  }
  const lines = scaleMs.map(
    (ms) =>
      `<line x1="${left}" y1="${y(ms)}" x2="${width - right}" y2="${y(ms)}" stroke="#dddddd"/><text x="${left - 46}" y="${y(ms) + 4}" fill="#777777">${ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`}</text>`,
  )
  const dots = pages.map(({ host, sentMs, arrivedMs }) => {
    const took = arrivedMs === undefined ? undefined : arrivedMs - sentMs
    const colour = took === undefined ? '#b30000' : '#4477aa'
    const words = `${host}: ${took === undefined ? 'never' : `${Math.round(took)} ms`}`
    return `<circle cx="${x(sentMs)}" cy="${y(took ?? Infinity)}" r="1.5" fill="${colour}"><title>${escape(words)}</title></circle>`
  })
  return [...lines, ...dots]
}

function axis({ fromMs, toMs }: Timeline, x: (atMs: number) => number, y: number): string[] {
  const stepMs = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].map((s) => s * 1_000).find((ms) => (toMs - fromMs) / ms <= 16)
  const marks: string[] = []
  for (let atMs = fromMs; atMs <= toMs; atMs += stepMs ?? 3_600_000) {
    marks.push(`<line x1="${x(atMs)}" y1="36" x2="${x(atMs)}" y2="${y + 4}" stroke="#eeeeee"/>`)
    marks.push(`<text x="${x(atMs)}" y="${y + 18}" text-anchor="middle">${seconds(atMs - fromMs)} s</text>`)
  }
  return marks
}

function legend(instances: readonly string[]): string[] {
  return instances.flatMap((name, at) => {
    const from = width - right - 80 * (instances.length - at)
    return [
      bar(from, 12, 12, 12, ownerColours[at % ownerColours.length], name),
      `<text x="${from + 18}" y="22">${escape(name)} owns</text>`,
    ]
  })
}

function bar(x: number, y: number, wide: number, tall: number, colour: string, words: string): string {
  return `<rect x="${x}" y="${y}" width="${Math.max(1, round(wide))}" height="${Math.max(0, tall)}" fill="${colour}"><title>${escape(words)}</title></rect>`
}

const seconds = (ms: number): string => String(Math.round(ms / 100) / 10)
const round = (value: number): number => Math.round(value * 10) / 10

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
