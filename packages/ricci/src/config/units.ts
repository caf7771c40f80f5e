/** Durations and sizes as people write them. A number without its unit is refused: nobody should have to guess. */

const durationUnitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const sizeUnitsBytes: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** Milliseconds of `"30s"`, `"1.5h"`, `"250ms"`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  return parseWithUnit(text, durationUnitsMs)
}

/** Bytes of `"10GB"` or `"64 MiB"`; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  return parseWithUnit(text, sizeUnitsBytes)
}

function parseWithUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([a-zA-Z]+)$/.exec(text)
  if (match === null || !Object.hasOwn(units, match[2])) return undefined
  return Math.round(Number(match[1]) * units[match[2]])
}

/** A listener's address. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** Host and port of `"127.0.0.1:5555"`, `"localhost:0"` or `"[::1]:5555"`; undefined for anything else. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text)
  if (match === null || Number(match[3]) > 65_535) return undefined
  return { host: match[1] ?? match[2], port: Number(match[3]) }
}

/** A host as it stands before a port. */
export function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}
