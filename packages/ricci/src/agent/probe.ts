import type { Machine } from './sampler.ts'

/** What one probe measured, before it gets host, time and ttl. */
export interface Measurement {
  readonly service: string
  readonly metric: number
  /** Only where a threshold says something: see {@link stateOf}. */
  readonly state?: State
  readonly description?: string
}

export type State = 'ok' | 'warning' | 'critical'

/**
 * A probe reads files of /proc and turns them into measurements, by a pure function of their texts and of those a while before.
 *
 * A new probe is a file in `probes/` that exports one of these, and its name in `probes/index.ts`.
 */
export interface Probe {
  readonly name: string
  /** Files it reads, below /proc. */
  readonly files: readonly string[]
  /** Not every kernel and every container has them: where one cannot be read the probe is left out without a word. */
  readonly optional?: boolean
  /**
   * @param now the files' texts, in the order of `files`
   * @param before the same of the sample before; undefined in the first
   * @param seconds between the two
   * @throws Error with a sentence when a text is not what the kernel writes
   */
  measure(now: readonly string[], before: readonly string[] | undefined, seconds: number): Measurement[]
}

/**
 * Measures what no fixed list of files shows: it reads what it needs, with each sample.
 *
 * What costs more than a sample may is made {@link seldom}.
 */
export interface Survey {
  readonly name: string
  /** @throws Error with a sentence: what is wrong is named once, and the survey left out of the sample */
  measure(machine: Machine, nowMs: number): Promise<readonly Measurement[]>
}

export interface Thresholds {
  readonly warning: number
  readonly critical: number
}

/** `critical` above the one limit, `warning` above the other, else `ok`. */
export function stateOf(metric: number, { warning, critical }: Thresholds): State {
  return metric > critical ? 'critical' : metric > warning ? 'warning' : 'ok'
}

/** What a counter moved by per second. Counters wrap, and start over with their device: then nobody knows, and it is 0. */
export function perSecond(now: number, before: number, seconds: number): number {
  return now >= before && seconds > 0 ? (now - before) / seconds : 0
}

/** The rates of those counters that are in both. */
export function rates(
  now: ReadonlyMap<string, number>,
  before: ReadonlyMap<string, number>,
  seconds: number,
  services: Readonly<Record<string, string>>,
): Measurement[] {
  return Object.entries(services).flatMap(([counter, service]) => {
    const [count, then] = [now.get(counter), before.get(counter)]
    return count === undefined || then === undefined ? [] : [{ service, metric: perSecond(count, then, seconds) }]
  })
}

/** 0.427 as "43 %", for descriptions. */
export function percent(fraction: number): string {
  return `${Math.round(fraction * 100)} %`
}

/** Bytes for people: "1.5 GiB". */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let power = 0
  while (bytes >= 1024 && power < units.length - 1) {
    bytes /= 1024
    power++
  }
  return `${power === 0 ? bytes : bytes.toFixed(1)} ${units[power]}`
}
