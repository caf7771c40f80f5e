import { stat } from 'node:fs/promises'
import type { Event } from '@ricci/client'
import { type EventSource, periodic, type SourceSurroundings, ttlSeconds } from '../sources.ts'
import { type Outcome, runCommand } from './run.ts'

/** A clock drifts by some parts in a million: a minute changes little. */
const intervalMs = 60_000
const timeoutMs = 5_000

/** systemd-timesyncd touches it each time it has heard of the time. */
const timesyncdFile = '/run/systemd/timesync/synchronized'

/** Its longest interval is 2,048 s; so it missed two. */
const longestSilenceMs = 2 * 2_048_000

/** When that was, in milliseconds since 1970; undefined where timesyncd does not run. */
async function lastTimesync(): Promise<number | undefined> {
  return stat(timesyncdFile).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
}

/**
 * `clock`: 1 and `ok` where the machine's clock is synchronised, 0 and `warning` where it is not; by chrony also `clock.offset`: seconds by which it is
 * ahead, and `clock.error`: how far it may be off at most, in seconds.
 *
 * What the kernel knows (adjtimex) stands in no file, so those who keep the clock are asked: chrony, else systemd-timesyncd by the file that it touches, else
 * systemd's timedated, which asks the kernel. Where none of them is there, it gives nothing.
 */
export function clockSource(
  env: Readonly<Record<string, string>>,
  surroundings: SourceSurroundings,
  timesync: () => Promise<number | undefined> = lastTimesync,
): EventSource {
  const { clock } = surroundings
  const ttl = ttlSeconds(intervalMs)
  const absent = new Set<string>()

  async function run(file: string, args: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    if (absent.has(file)) return undefined
    const outcome = await runCommand({ file, args, env, timeoutMs }, clock, signal)
    if (isAbsent(outcome)) absent.add(file)
    return outcome.end === 'exited' && outcome.exitCode === 0 ? outcome.stdout : undefined
  }

  async function ask(signal: AbortSignal): Promise<readonly Event[]> {
    const tracking = await run('chronyc', ['-c', '-n', 'tracking'], signal)
    const events =
      (tracking === undefined ? undefined : ofChrony(tracking)) ??
      ofTimesyncd(await timesync(), clock.wallMs()) ??
      ofTimedated(await run('timedatectl', ['show', '--property=NTPSynchronized', '--value'], signal))
    return events.map((event) => ({ ...event, metricType: 'double', ttl }))
  }

  return periodic({ name: 'the clock', intervalMs, ask }, 0, surroundings)
}

function isAbsent({ end, error, stderr }: Outcome): boolean {
  return (end === 'not-started' && error?.code === 'ENOENT') || /not been booted with systemd/.test(stderr)
}

function synchronised(isSo: boolean, description: string): Event {
  return { service: 'clock', metric: isSo ? 1 : 0, state: isSo ? 'ok' : 'warning', description }
}

/** Fields of `chronyc -c tracking` by their places; definition: chronyc(1). */
function ofChrony(text: string): Event[] | undefined {
  const fields = text.trim().split(',')
  const [, name, stratum, , offset, , , , , , delay, dispersion, , leap] = fields
  if (fields.length < 14) return undefined
  if (leap === 'Not synchronised') return [synchronised(false, 'chrony: not synchronised')]
  const ahead = -Number(offset)
  return [
    synchronised(true, `chrony: by ${name}, stratum ${stratum}`),
    { service: 'clock.offset', metric: ahead },
    { service: 'clock.error', metric: Math.abs(ahead) + Number(dispersion) + Number(delay) / 2 },
  ]
}

function ofTimesyncd(lastMs: number | undefined, wallMs: number): Event[] | undefined {
  if (lastMs === undefined) return undefined
  const silentMs = wallMs - lastMs
  const description = `systemd-timesyncd: heard of the time ${Math.max(0, Math.round(silentMs / 1000))} s ago`
  return [synchronised(silentMs < longestSilenceMs, description)]
}

function ofTimedated(text: string | undefined): Event[] {
  const answer = text?.trim()
  if (answer !== 'yes' && answer !== 'no') return []
  return [synchronised(answer === 'yes', `the kernel: ${answer === 'yes' ? 'synchronised' : 'not synchronised'}`)]
}
