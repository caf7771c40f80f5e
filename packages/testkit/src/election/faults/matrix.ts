/** Every fault against every store, and what it showed. */
import { SeededRandom } from '../../random.ts'
import { arenaKinds, type Arena, type ArenaKind } from './arenas.ts'
import { cells, runTrial, steady, type Cell, type Trial, type TrialOptions } from './cells.ts'
import { judge, type Judgement } from './checker.ts'
import { nowMs } from './fleet.ts'
import { rowOf } from './page.ts'

/** What of the matrix is run. */
export interface MatrixOptions {
  /** The candidate's program. */
  readonly program: string
  readonly trials: number
  /** Names of stores; all unless told. */
  readonly stores?: readonly string[]
  /** Names of faults; all unless told. */
  readonly faults?: readonly string[]
  /** What a busy machine may add to a bound, in ms; 3 s unless told. */
  readonly slackMs?: number
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

/** What a machine of 2 cores that is shared with other work adds to a bound, in ms: the processes of a store and its candidates are a dozen. */
const busyMs = 3000

/** Runs it, store after store, the same three candidates through all faults of one. */
export async function runMatrix(options: MatrixOptions): Promise<MatrixResult> {
  const { trials, report } = options
  return runArenas(options, async ({ name }, arena, fitting, attempt) => {
    const results: CellResult[] = []
    for (const cell of fitting) {
      const done: Trial[] = []
      results.push({ store: name, settings: arena.settings, cell, trials: done })
      while (done.length < trials) {
        const at = `${name}, ${cell.fault}, trial ${done.length + 1}`
        const trial = await attempt(cell, { at, chance: Math.random })
        // What did not come right would only show the same again.
        if (trial === undefined) return results
        done.push(trial)
        if (cell.stays && !trial.stayed) report(`${at}: another leader, or another token\n${arena.fleet.state()}`)
      }
      report(rowOf(results.at(-1)!))
    }
    return results
  })
}

/** What of a soak is run. */
export interface SoakOptions extends Omit<MatrixOptions, 'trials'> {
  readonly minutes: number
  readonly seed: number
}

/** One fault after another, drawn by chance, for so long in all, the stores in turn. Judged like the matrix. */
export async function runSoak(options: SoakOptions): Promise<MatrixResult> {
  const random = new SeededRandom(options.seed)
  const forMs = (options.minutes * 60_000) / kindsOf(options).length
  return runArenas(options, async ({ name }, arena, fitting, attempt) => {
    const endMs = nowMs() + forMs
    const trials = new Map<Cell, Trial[]>()
    while (nowMs() < endMs) {
      const cell = random.pick(fitting)
      const trial = await attempt(cell, { at: `${name}, ${cell.fault}`, chance: () => random.next() })
      if (trial === undefined) break
      trials.set(cell, [...(trials.get(cell) ?? []), trial])
    }
    const { settings } = arena
    const results = Array.from(trials, ([cell, done]) => ({ store: name, settings, cell, trials: done }))
    for (const result of results) options.report(rowOf(result))
    return results
  })
}

/** Tries one fault; what is not as it must be is kept. Gives undefined where the trial did not come to its end. */
type Attempt = (cell: Cell, options: Omit<TrialOptions, 'slackMs'>) => Promise<Trial | undefined>

const kindsOf = ({ stores }: Pick<MatrixOptions, 'stores'>): ArenaKind[] =>
  arenaKinds.filter(({ name }) => stores?.includes(name) ?? true)

/** Has an arena of each store go through `run`, and judges what its candidates told. */
async function runArenas(
  options: Omit<MatrixOptions, 'trials'>,
  run: (kind: ArenaKind, arena: Arena, fitting: readonly Cell[], attempt: Attempt) => Promise<CellResult[]>,
): Promise<MatrixResult> {
  const { program, faults, slackMs = busyMs, report } = options
  const results: CellResult[] = []
  const judgements = new Map<string, Judgement>()
  const wrong: string[] = []
  for (const kind of kindsOf(options)) {
    const arena = await kind.start(program)
    try {
      await steady(arena.fleet)
      const attempt: Attempt = async (cell, { at, chance }) => {
        try {
          if (await arena.fleet.useOwnClocks(cell.ownClocks === true)) await steady(arena.fleet)
          return await runTrial(arena, cell, { at, chance, slackMs })
        } catch (error) {
          wrong.push(`${at}: ${(error as Error).message}`)
          report(wrong.at(-1)!)
          return undefined
        }
      }
      const fitting = cells.filter(
        (cell) =>
          (cell.fits?.(arena) ?? true) &&
          (kind.faults?.includes(cell.fault) ?? true) &&
          (faults?.includes(cell.fault) ?? true),
      )
      const own = await run(kind, arena, fitting, attempt)
      results.push(...own.filter(({ trials }) => trials.length > 0))
      const done = own.flatMap(({ trials }) => trials.map(({ fault }) => fault))
      const judged = judge(arena.fleet.history, done)
      judgements.set(kind.name, judged)
      for (const { invariant, text } of judged.breaches) wrong.push(`${kind.name}: ${invariant}: ${text}`)
    } finally {
      await arena.stop()
    }
  }
  return { cells: results, judgements, wrong }
}
