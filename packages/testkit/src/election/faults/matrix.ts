/** Every fault against every store, and what it showed. */
import { arenaKinds, type ArenaKind } from './arenas.ts'
import { cells, type Cell, type Trial } from './cells.ts'
import { judge, type Judgement } from './checker.ts'

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
        try {
          const result = await cell.run(arena)
          done.push(result)
          if (cell.stays && !result.stayed) report(`${at}: another leader, or another token\n${arena.fleet.state()}`)
          if (result.tookMs > cell.boundMs)
            wrong.push(`${at}: ${Math.round(result.tookMs)} ms, at most ${cell.boundMs} are allowed`)
        } catch (error) {
          wrong.push(`${at}: ${(error as Error).message}`)
          report(`${at}: ${(error as Error).message}`)
          return { cells: results, judged: judge(arena.fleet.history) }
        }
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
