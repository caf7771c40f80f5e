/** From a place in the compiled bundle back to the line that a person wrote. */
import { SourceMap, type SourceMapPayload } from 'node:module'
import { atPlace, type Place } from '../config/excerpt.ts'

/** What the bundle is called in stacks of errors. */
export const bundleFile = 'ricci-rules.js'

const mapComment = /\n\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/

/** The code without its source map, and the map. The comment is taken off, or Node would map stacks by itself in some modes. */
export function splitSourceMap(text: string): { code: string; places: SourcePlaces } {
  const match = mapComment.exec(text)
  if (match === null) return { code: text, places: new SourcePlaces(undefined) }
  const code = text.slice(0, match.index + 1)
  return { code, places: new SourcePlaces(Buffer.from(match[1], 'base64').toString()) }
}

/** Finds places in the users' files. The map is parsed at the first question: most bundles never throw. */
export class SourcePlaces {
  readonly #json: string | undefined
  #payload: SourceMapPayload | undefined
  #map: SourceMap | undefined

  constructor(json: string | undefined) {
    this.#json = json
  }

  /** Where in the user's files an error was thrown: the first of its stack's frames that lies in the bundle. */
  placeOf(error: unknown): Place | undefined {
    const frame = error instanceof Error ? framePattern.exec(error.stack ?? '') : null
    return frame === null ? undefined : this.placeAt(Number(frame[1]), Number(frame[2]))
  }

  /** An error as people read it: at its place where it has one, else its own words. */
  explain(error: unknown): string {
    const message =
      error instanceof Error ? asWritten(error.message) : `something that is no Error was thrown: ${String(error)}`
    const place = this.placeOf(error)
    return place === undefined ? message : atPlace(place, message)
  }

  /** A place in the bundle; line and column count from 1. */
  placeAt(line: number, column: number): Place | undefined {
    if (this.#json === undefined) return undefined
    this.#payload ??= JSON.parse(this.#json) as SourceMapPayload
    this.#map ??= new SourceMap(this.#payload)
    const entry = this.#map.findEntry(line - 1, column - 1)
    if (!('originalSource' in entry)) return undefined
    const { originalSource: file, originalLine, originalColumn } = entry
    const text = this.#payload.sourcesContent?.[this.#payload.sources.indexOf(file)]
    return {
      file,
      line: originalLine + 1,
      column: originalColumn + 1,
      length: 1,
      lineText: text?.split('\n')[originalLine] ?? '',
    }
  }
}

/** The compiler writes `nope(…)` of an import as `(0, import_ricci.nope)(…)`: nobody wrote that. */
function asWritten(message: string): string {
  return message
    .replace(
      /^\(0 ?, import_(\w+?)\d*\.([\w$]+)\) is not a function$/,
      '"$2" is no function that $1 has; is it spelt right?',
    )
    .replaceAll(/\(0 ?, import_\w+\.([\w$]+)\)/g, '$1')
    .replaceAll(/\bimport_\w+\./g, '')
}

const framePattern = new RegExp(`${bundleFile.replace('.', '\\.')}:(\\d+):(\\d+)`)
