/** Every row, trial after trial, and what each came to. */
import { hasOwnNetwork } from '../../servers/network.ts'
import { Arena, type ArenaOptions } from './arena.ts'
import { monotonicMs } from '../pager.ts'
import { claimsAfter, type RowResult } from './figures.ts'
import { judge } from './judgement.ts'
import { pause } from '../../servers/wait.ts'
import { rowLines } from './page.ts'
import { rows, type Row } from './rows.ts'
import { runTrial, type Trial } from './trial.ts'

export interface TableOptions extends Omit<ArenaOptions, 'receiversFail'> {
  readonly trials: number
  /** Names of rows; all unless told. */
  readonly rows?: readonly string[]
}

/** Before its first fault a row's cluster runs for so long: programs that have just begun are slow, which is what the restarts measure. */
const warmUpMs = 15_000
/** A row whose trials fail so often is given up: the rest would show the same. */
const failuresAtMost = 3

/** Runs the rows one after another over the same brokers and store, each on a log of its own. */
export async function runTable(options: TableOptions): Promise<RowResult[]> {
  const { report } = options
  const chosen = rows.filter(({ name }) => options.rows?.includes(name) ?? true)
  const results: RowResult[] = []
  const arena = await Arena.start({ ...options, receiversFail: false })
  try {
    for (const row of chosen) {
      const skipped =
        row.cuts === true && !hasOwnNetwork()
          ? 'no network of our own can be made here: it takes root, ip and unshare'
          : undefined
      const result =
        skipped === undefined
          ? await runRow(arena, row, options)
          : { row, trials: [], counts: {}, claimsMs: [], wrong: [], skipped }
      results.push(result)
      for (const line of rowLines(result)) report(line)
    }
  } finally {
    await arena.stop()
  }
  return results
}

async function runRow(arena: Arena, row: Row, { trials: wanted, report }: TableOptions): Promise<RowResult> {
  const trials: Trial[] = []
  const wrong: string[] = []
  try {
    await arena.begin()
    await pause(warmUpMs)
    if (row.ownersStay === true) await arena.settled()
    while (trials.length < wanted && wrong.length < failuresAtMost) {
      try {
        const trial = await runTrial(arena, row, Math.random)
        trials.push(trial)
        const [flow, latest] = [trial.flowMs, trial.latestMs].map((ms) =>
          ms === undefined ? 'never' : `${Math.round(ms)} ms`,
        )
        const at = `${row.name}, trial ${trials.length} of ${wanted}`
        report(
          `${at}: pages again after ${flow}, the latest took ${latest} (${trial.latest}), ${trial.inFlight} in flight`,
        )
        for (const line of storyOf(arena, row, trial)) report(line)
      } catch (error) {
        wrong.push(`${row.name}, trial ${trials.length + 1}: ${(error as Error).message}`)
        report(wrong.at(-1)!)
      }
    }
    const judgement = await judge(arena)
    const claimsMs = claimsAfter(trials, judgement.evidence.ownerships, Date.now() - monotonicMs())
    return { row, trials, counts: judgement.counts, claimsMs, wrong: [...wrong, ...judgement.wrong] }
  } catch (error) {
    return { row, trials, counts: {}, claimsMs: [], wrong: [...wrong, `${row.name}: ${(error as Error).message}`] }
  } finally {
    await arena.end()
  }
}

/** What instances said in a trial that took longer than is asked; nothing of another. */
function storyOf(arena: Arena, row: Row, trial: Trial): string[] {
  const ms = row.measure === 'flow' ? trial.flowMs : trial.latestMs
  if (ms !== undefined && ms <= (row.asked.worstMs ?? Infinity)) return []
  const wallMs = trial.fromMs + Date.now() - monotonicMs()
  return arena.instances.flatMap((instance) => instance.since(wallMs)).sort()
}
