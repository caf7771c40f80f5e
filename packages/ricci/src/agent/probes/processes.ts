import { bytesText, type Measurement, type Survey } from '../probe.ts'
import type { ProcessTable } from './process-table.ts'

/** So many are read before the loop has a turn: about two milliseconds of work. */
const readsPerTurn = 200

/** The kernel's default for the highest number of processes; a machine with more has its first ones counted, and says so. */
const maxProcesses = 32_768

/** The kernel keeps so much of a name. */
const nameBytes = 15

interface Seen {
  readonly name: string
  /** In clock ticks since boot: with the number it tells one process from any other. */
  readonly started: number
  readonly ticks: number
  readonly pages: number
}

/**
 * `processes.zombie`: processes that ended and that nobody waited for. Of each name: `process NAME`: how many there are, `critical` where there is none;
 * `process NAME cpu`: what they use of the CPUs, 1 being one of them in full; `process NAME memory`: bytes of theirs that are in memory, those that they
 * share counted for each.
 *
 * A name is that of the program as the kernel has it (`ps -o comm`), of which it keeps 15 bytes.
 * Source: proc(5), /proc/PID/stat.
 */
export function processes(names: readonly string[], table: ProcessTable): Survey {
  let before: { readonly seen: ReadonlyMap<number, Seen>; readonly atMs: number } | undefined
  const wanted = new Map(names.map((name) => [short(name), name]))
  return {
    name: 'processes',
    async measure(_machine, nowMs) {
      const seen = new Map<number, Seen>()
      let zombies = 0
      const pids = table.pids()
      for (const [i, pid] of pids.slice(0, maxProcesses).entries()) {
        if (i % readsPerTurn === readsPerTurn - 1) await new Promise((resolve) => setImmediate(resolve))
        const parsed = parse(table.stat(pid))
        if (parsed?.state === 'Z') zombies++
        else if (parsed !== undefined && wanted.has(parsed.name)) seen.set(pid, parsed)
      }
      const seconds = before === undefined ? 0 : (nowMs - before.atMs) / 1000
      const earlier = before?.seen
      before = { seen, atMs: nowMs }
      const description =
        pids.length > maxProcesses ? `of the first ${maxProcesses} of ${pids.length} processes` : undefined
      return [
        { service: 'processes.zombie', metric: zombies, ...(description !== undefined && { description }) },
        ...[...wanted].flatMap(([name, asked]) =>
          ofName(
            asked,
            [...seen].filter(([, one]) => one.name === name),
            earlier,
            seconds,
            table.units,
          ),
        ),
      ]
    },
  }
}

function ofName(
  name: string,
  running: readonly (readonly [number, Seen])[],
  earlier: ReadonlyMap<number, Seen> | undefined,
  seconds: number,
  { pageBytes, ticksPerSecond }: ProcessTable['units'],
): Measurement[] {
  const service = `process ${name}`
  const memory = running.reduce((sum, [, { pages }]) => sum + pages, 0) * pageBytes
  const ticks = running.reduce((sum, [pid, one]) => {
    const then = earlier?.get(pid)
    // who was not there before began since, and has used all of it since
    return sum + one.ticks - (then?.started === one.started ? then.ticks : 0)
  }, 0)
  return [
    {
      service,
      metric: running.length,
      state: running.length === 0 ? 'critical' : 'ok',
      description: running.length === 0 ? `no process is called ${name}` : `${running.length}, ${bytesText(memory)}`,
    },
    ...(seconds > 0 ? [{ service: `${service} cpu`, metric: Math.max(0, ticks) / ticksPerSecond / seconds }] : []),
    { service: `${service} memory`, metric: memory },
  ]
}

/** The name lies in parentheses and may hold some itself. */
function parse(stat: string | undefined): (Seen & { readonly state: string }) | undefined {
  const [from, to] = [stat?.indexOf('(') ?? -1, stat?.lastIndexOf(')') ?? -1]
  if (stat === undefined || from < 0 || to < from) return undefined
  const fields = stat.slice(to + 2).split(' ')
  return {
    name: stat.slice(from + 1, to),
    state: fields[0],
    ticks: Number(fields[11]) + Number(fields[12]),
    started: Number(fields[19]),
    pages: Number(fields[21]),
  }
}

function short(name: string): string {
  return Buffer.from(name).subarray(0, nameBytes).toString()
}
