/** Every fault against every store, and what it showed. */
import { SeededRandom } from '../../random.ts'
import { arenaKinds, type Arena, type ArenaKind } from './arenas.ts'
import { cells, type Cell, type Trial } from './cells.ts'
import { judge, type Judgement } from './checker.ts'
import { nowMs } from './fleet.ts'

/** What of the matrix is run. */
export interface MatrixOptions {
  /** The candidate's program. */
  readonly program: string
  readonly trials: number
  /** Names of stores; all unless told. */
  readonly stores?: readonly string[]
  /** Names of faults; all unless told. */
  readonly faults?: readonly string[]
  readonly report: (line: string) => void
}

/** One fault against one store. */
export interface CellResult {
  readonly store: string
  readonly settings: string
  readonly cell: Cell
  readonly trials: readonly Trial[]
}

/** Everything that was run. */
export interface MatrixResult {
  readonly cells: readonly CellResult[]
  readonly judgements: ReadonlyMap<string, Judgement>
  /** What was not as it must be. */
  readonly wrong: readonly string[]
}

/** Runs it, store after store, the same three candidates through all faults of one. */
export async function runMatrix(options: MatrixOptions): Promise<MatrixResult> {
  const results: CellResult[] = []
  const judgements = new Map<string, Judgement>()
  const wrong: string[] = []
  for (const kind of arenaKinds.filter(({ name }) => options.stores?.includes(name) ?? true)) {
    const { judged, cells: run } = await runArena(kind, options, wrong)
    results.push(...run)
    judgements.set(kind.name, judged)
  }
  return { cells: results, judgements, wrong }
}

async function runArena(
  { name, start }: ArenaKind,
  { program, trials, faults, report }: MatrixOptions,
  wrong: string[],
): Promise<{ cells: CellResult[]; judged: Judgement }> {
  const arena = await start(program)
  const results: CellResult[] = []
  try {
    for (const cell of cells.filter((each) => each.fits(arena) && (faults?.includes(each.fault) ?? true))) {
      const done: Trial[] = []
      for (let trial = 1; trial <= trials; trial++) {
        const at = `${name}, ${cell.fault}, trial ${trial}`
        const result = await tryOnce(arena, cell, at, wrong)
        // What did not come right would only show the same again.
        if (result === undefined) {
          report(wrong.at(-1)!)
          return { cells: results, judged: judge(arena.fleet.history) }
        }
        done.push(result)
        if (cell.stays && !result.stayed) report(`${at}: another leader, or another token\n${arena.fleet.state()}`)
      }
      results.push({ store: name, settings: arena.settings, cell, trials: done })
      report(rowOf(results.at(-1)!))
    }
    const judged = judge(arena.fleet.history)
    for (const { invariant, text } of judged.breaches) wrong.push(`${name}: ${invariant}: ${text}`)
    return { cells: results, judged }
  } finally {
    await arena.stop()
  }
}

/** What of a soak is run. */
export interface SoakOptions extends Omit<MatrixOptions, 'trials'> {
  readonly minutes: number
  readonly seed: number
}

/** One fault after another, drawn by chance, for so long in all, the stores in turn. Judged like the matrix. */
export async function runSoak(options: SoakOptions): Promise<MatrixResult> {
  const kinds = arenaKinds.filter(({ name }) => options.stores?.includes(name) ?? true)
  const random = new SeededRandom(options.seed)
  const judgements = new Map<string, Judgement>()
  const wrong: string[] = []
  const results: CellResult[] = []
  for (const kind of kinds) {
    const endMs = nowMs() + (options.minutes * 60_000) / kinds.length
    const trials = new Map<Cell, Trial[]>()
    const arena = await kind.start(options.program)
    try {
      const fitting = cells.filter((cell) => cell.fits(arena) && (options.faults?.includes(cell.fault) ?? true))
      while (nowMs() < endMs && wrong.length === 0) {
        const cell = random.pick(fitting)
        const trial = await tryOnce(arena, cell, `${kind.name}, ${cell.fault}`, wrong)
        if (trial !== undefined) trials.set(cell, [...(trials.get(cell) ?? []), trial])
      }
      const judged = judge(arena.fleet.history)
      judgements.set(kind.name, judged)
      for (const { invariant, text } of judged.breaches) wrong.push(`${kind.name}: ${invariant}: ${text}`)
    } finally {
      await arena.stop()
    }
    for (const [cell, done] of trials) {
      results.push({ store: kind.name, settings: arena.settings, cell, trials: done })
      options.report(rowOf(results.at(-1)!))
    }
  }
  return { cells: results, judgements, wrong }
}

/** One trial; what is not as it must be goes to `wrong`. Gives undefined where it did not come to its end. */
async function tryOnce(arena: Arena, cell: Cell, at: string, wrong: string[]): Promise<Trial | undefined> {
  try {
    const trial = await cell.run(arena)
    if (trial.tookMs > cell.boundMs) {
      wrong.push(`${at}: ${Math.round(trial.tookMs)} ms, at most ${cell.boundMs} are allowed`)
    }
    return trial
  } catch (error) {
    wrong.push(`${at}: ${(error as Error).message}`)
    return undefined
  }
}

/** The figures of one cell: least, median and most. */
export function figures(trials: readonly Trial[]): { minMs: number; medianMs: number; maxMs: number } {
  const sorted = trials.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  const at = (part: number): number => Math.round(sorted[Math.floor(part * (sorted.length - 1))])
  return { minMs: at(0), medianMs: at(0.5), maxMs: at(1) }
}

/** One cell in one line. */
export function rowOf({ store, cell, trials }: CellResult): string {
  const { minMs, medianMs, maxMs } = figures(trials)
  const stayed = cell.stays ? `, the same leader and token in ${trials.filter((trial) => trial.stayed).length}` : ''
  return `${store.padEnd(15)} ${cell.fault.padEnd(44)} ${cell.measure} ${minMs} / ${medianMs} / ${maxMs} ms of ${trials.length}${stayed}`
}

/** The whole matrix as a page. */
export function page({ cells: results, judgements }: MatrixResult, about: string): string {
  const lines = [
    '# Elections under faults',
    '',
    'Three candidates, each a process of its own, elect in a real store; faults are done to the leader, to the store, to the way between them. `npm run faults -- election`',
    'makes this page. A candidate acts every 5 ms while it may. **Failover** is from the fault to the first act of another candidate, **gap** how long nobody',
    'acted where the same one goes on: least / median / most, in ms.',
    '',
    about,
    '',
  ]
  for (const store of new Set(results.map((result) => result.store))) {
    const own = results.filter((result) => result.store === store)
    const { acts, slips, refused, breaches } = judgements.get(store)!
    lines.push(`## ${store}`, '', `${own[0].settings}.`, '')
    lines.push('| fault | what is measured | least | median | most | trials | same leader, same token |')
    lines.push('| --- | --- | --- | --- | --- | --- | --- |')
    for (const { cell, trials } of own) {
      const { minMs, medianMs, maxMs } = figures(trials)
      const stayed = cell.stays ? `${trials.filter((trial) => trial.stayed).length} of ${trials.length}` : ''
      lines.push(
        `| ${cell.fault} | ${cell.measure} | ${minMs} | ${medianMs} | ${maxMs} | ${trials.length} | ${stayed} |`,
      )
    }
    lines.push(
      '',
      `${acts} acts; ${breaches.length} by a leader that was none any more. ${slips} were frozen between look and effect, ${refused} of them a sink that checks tokens would have refused.`,
      '',
    )
  }
  return `${lines.join('\n')}\n`
}
