import type { Event } from '@ricci/client'
import { type EventSource, periodic, type SourceSurroundings, ttlSeconds } from '../sources.ts'
import { type Outcome, runCommand } from './run.ts'

/** Asking systemd costs it and us some milliseconds, and a unit that fails stays so. */
const intervalMs = 30_000
const timeoutMs = 5_000

/** So many failed units are named in the description. */
const maxNamed = 10

/** Fields of a unit that are asked for, in the form `Name=value`, a blank line between two units. */
const properties = ['Id', 'LoadState', 'ActiveState', 'SubState', 'NRestarts']

/**
 * `systemd.failed`: how many units are in the state failed, `warning` above 0. Of each unit named: `unit NAME`: 1 where it is active, else 0; `ok` while it
 * is, `critical` where it is not, or is not there, `warning` on the way; `unit NAME restarts`: how often systemd started it anew.
 *
 * Asks `systemctl`; where there is none, or no systemd runs, it gives nothing, and says so only where units were named.
 */
export function unitSource(
  units: readonly string[],
  env: Readonly<Record<string, string>>,
  surroundings: SourceSurroundings,
): EventSource {
  const { clock, onProblem } = surroundings
  const ttl = ttlSeconds(intervalMs)
  let isAway = false
  let isSilent = false
  const systemctl = (args: readonly string[], signal: AbortSignal) =>
    runCommand({ file: 'systemctl', args, env, timeoutMs }, clock, signal)

  async function ask(signal: AbortSignal): Promise<readonly Event[]> {
    if (isAway) return []
    const listed = await systemctl(['list-units', '--state=failed', '--plain', '--no-legend', '--no-pager'], signal)
    isAway = isAbsent(listed)
    if (isAway && units.length > 0) onProblem('units of systemd cannot be watched: no systemd runs here')
    if (!isGood(listed)) return complain(listed)
    isSilent = false
    // a unit's name may begin with a minus sign, as that of the root folder does
    const shown =
      units.length === 0
        ? undefined
        : await systemctl(['show', `--property=${properties.join(',')}`, '--', ...units], signal)
    if (shown !== undefined && !isGood(shown)) complain(shown)
    const events = [
      ...failed(listed.stdout),
      ...(shown !== undefined && isGood(shown) ? states(units, shown.stdout) : []),
    ]
    return events.map((event) => ({ ...event, metricType: 'double', ttl }))
  }

  function complain({ end, stderr }: Outcome): Event[] {
    if (!isAway && end !== 'stopped' && !isSilent) {
      isSilent = true
      onProblem(`systemctl does not answer: ${end === 'exited' ? stderr.trim() : end}`)
    }
    return []
  }

  return periodic({ name: 'units of systemd', intervalMs, ask }, 0, surroundings)
}

function isGood({ end, exitCode }: Outcome): boolean {
  return end === 'exited' && exitCode === 0
}

/** It is not installed, or was installed into a container that has a program of its own for a first process. */
function isAbsent({ end, error, stderr }: Outcome): boolean {
  return (
    (end === 'not-started' && error?.code === 'ENOENT') ||
    /not been booted with systemd|failed to connect to bus: (?:no such file|host is down)/i.test(stderr)
  )
}

function failed(text: string): Event[] {
  const names = Array.from(text.matchAll(/^(\S+) /gm), ([, name]) => name)
  const more = names.length > maxNamed ? ` and ${names.length - maxNamed} more` : ''
  return [
    {
      service: 'systemd.failed',
      metric: names.length,
      state: names.length > 0 ? 'warning' : 'ok',
      description: names.length === 0 ? 'no unit failed' : `failed: ${names.slice(0, maxNamed).join(', ')}${more}`,
    },
  ]
}

function states(units: readonly string[], text: string): Event[] {
  const shown = text
    .split('\n\n')
    .map((part) => new Map(Array.from(part.matchAll(/^(\w+)=(.*)$/gm), ([, key, value]) => [key, value])))
  // answers come in the order of the questions, under a unit's own name where it was asked by another
  return units.flatMap((unit, i): Event[] => {
    const of = shown[i]
    if (of === undefined) return []
    const [load, active, sub] = ['LoadState', 'ActiveState', 'SubState'].map((key) => of.get(key) ?? '')
    const isActive = active === 'active' || active === 'reloading'
    const restarts = of.get('NRestarts')
    return [
      {
        service: `unit ${unit}`,
        metric: isActive ? 1 : 0,
        state: isActive ? 'ok' : active === 'activating' || active === 'deactivating' ? 'warning' : 'critical',
        description: load === 'loaded' ? `${active} (${sub})` : `there is no such unit (${load})`,
      },
      ...(restarts === undefined || restarts === ''
        ? []
        : [{ service: `unit ${unit} restarts`, metric: Number(restarts) }]),
    ]
  })
}
