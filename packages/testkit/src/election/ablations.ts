/** Rules that are taken away, one after another: each must be missed by the verdict on some seed. */
import { runElection, type Missing, type RunResult } from './run.ts'

/** How many seeds are searched for each. */
export const searchedSeeds = 150

/** Each rule that can be taken away, and what it says. */
export const ablations: Readonly<Record<Missing, string>> = {
  'deadline-from-send': 'a confirm counts from when it was sent, not from when it was answered',
  'acquirer-wait': 'who acquires waits until its predecessor has certainly stopped',
  deadline: 'leadership ends with its deadline; it is no flag',
  'linearizable-reads': 'what confirms is a linearizable read',
  'predecessors-lease': 'who acquires waits for its predecessor’s lease, if that is longer than its own',
  'quiet-before-settled': 'only who has waited for its own predecessor says that all is quiet',
}

/** What breaks I2: somebody acts after a later leader did. Other breaches would be found, too, and say less. */
const decisive = (result: RunResult): boolean => result.breaches.some(({ invariant }) => invariant === 'I2')

/** The first seed on which somebody acts after a later leader did; undefined when none of those searched shows it. */
export async function searchAblation(without: Missing): Promise<RunResult | undefined> {
  for (let seed = 1; seed <= searchedSeeds; seed++) {
    const result = await runElection(seed, { without })
    if (decisive(result)) return result
  }
  return undefined
}
