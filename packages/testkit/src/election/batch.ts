/** A batch of seeds: what it brought to work, and whether that was enough to prove anything. */
import { noTally, type Tally } from './history.ts'
import type { RunResult } from './run.ts'

/** Each of these must have happened in a batch, or it has proven nothing about it. */
const wanted: readonly (keyof Tally)[] = [
  'acts',
  'slipped',
  'terms',
  'resumptions',
  'earlyLosses',
  'cleanReleases',
  'journalled',
]

/** Adds up what runs showed. */
export class Batch {
  readonly #sum = noTally()
  readonly failed: RunResult[] = []
  runs = 0

  add(result: RunResult): void {
    this.runs++
    for (const key of Object.keys(this.#sum) as (keyof Tally)[]) this.#sum[key] += result.tally[key]
    if (result.breaches.length > 0) this.failed.push(result)
  }

  /** What never happened though it should have. */
  missing(): string[] {
    return wanted.filter((key) => this.#sum[key] === 0)
  }

  /** In words, and last a line `N passed, N failed`. */
  text(): string {
    const { acts, slipped, refused, terms, resumptions, earlyLosses, cleanReleases, journalled } = this.#sum
    return [
      `${acts} acts under ${terms} terms (${resumptions} resumed); ${earlyLosses} names lost without warning, ${cleanReleases} given up`,
      `${slipped} acts were held up between look and effect, ${refused} of them refused by the sink; ${journalled} carried out by the journal, none twice`,
      `${this.runs - this.failed.length} passed, ${this.failed.length} failed`,
    ].join('\n')
  }
}

/** What a seed broke, and the command that shows it again. */
export function describe({ seed, breaches }: RunResult, without?: string): string {
  const also = without === undefined ? '' : ` --without ${without}`
  const lines = breaches.slice(0, 10).map(({ invariant, text }) => `  ${invariant}: ${text}`)
  if (breaches.length > 10) lines.push(`  and ${breaches.length - 10} more`)
  lines.push(`  replay: npm run simulate -- election --seeds 1 --first ${seed}${also} --trace`)
  return `seed ${seed} failed:\n${lines.join('\n')}`
}
