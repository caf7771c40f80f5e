/** The figures that are asked of the elections, and whether they are reached. */
import type { Trial } from './cells.ts'
import type { CellResult, MatrixResult } from './matrix.ts'

/** Fewer trials say too little of a median. */
export const leastTrials = 12

/** The least, the median and the most of some trials, in ms. */
export function spread(trials: readonly Trial[]): { minMs: number; medianMs: number; maxMs: number } {
  const sorted = trials.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const medianMs = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
  return { minMs: Math.round(sorted[0]), medianMs: Math.round(medianMs), maxMs: Math.round(sorted.at(-1)!) }
}

/** One figure, as it was asked and measured. */
export interface Figure {
  readonly what: string
  readonly asked: string
  readonly measured: string
  /** Undefined where too few trials were run. */
  readonly reached: boolean | undefined
}

interface Asked {
  readonly what: string
  readonly store: string
  readonly fault: string
  readonly asked: string
  measure(cell: CellResult, stale: number): { measured: string; reached: boolean }
}

const kill = 'SIGKILL of the leader'
const stop = 'SIGSTOP of the leader'
const ms = (value: number): string => `${value.toLocaleString('en')} ms`

/** A median below a bound. */
function median(what: string, store: string, fault: string, belowMs: number, asked = `under ${ms(belowMs)}`): Asked {
  return {
    ...{ what, store, fault, asked },
    measure({ trials }) {
      const { medianMs } = spread(trials)
      return { measured: ms(medianMs), reached: medianMs < belowMs }
    },
  }
}

/** A median that is not beyond what the reference measured by more than 20 %. */
function asReference(what: string, store: string, fault: string, referenceMs: number): Asked {
  const mostMs = Math.floor(referenceMs * 1.2)
  return median(what, store, fault, mostMs + 1, `at most ${ms(mostMs)} (the reference's ${ms(referenceMs)} and 20 %)`)
}

const asked: readonly Asked[] = [
  median('Consul, `fast`, SIGKILL, median', 'consul', kill, 1100),
  median('Consul, `fast`, SIGTERM, median', 'consul', 'SIGTERM of the leader', 100),
  {
    what: 'Consul, `fast`, SIGSTOP: acts of a stale holder; successor',
    ...{ store: 'consul', fault: stop, asked: `none; under ${ms(2500)}` },
    measure({ trials }, stale) {
      const { maxMs } = spread(trials)
      return { measured: `${stale || 'none'}; ${ms(maxMs)} at most`, reached: stale === 0 && maxMs < 2500 }
    },
  },
  {
    what: "Consul's own leader killed: same holder and token; a second leader",
    ...{ store: 'consul', fault: 'SIGKILL of what leads in the store', asked: 'resumes in all; never' },
    measure({ trials }, stale) {
      const stayed = trials.filter((trial) => trial.stayed).length
      const starved = trials.filter((trial) => !trial.stayed && trial.starved).length
      const why =
        starved === 0 ? '' : ` (in ${starved} of the others the machine kept the leader's process from running)`
      const measured = `in ${stayed} of ${trials.length}${why}; ${stale || 'never'}`
      return { measured, reached: stayed === trials.length && stale === 0 }
    },
  },
  asReference('etcd, TTL 2 s, SIGKILL, median', 'etcd', kill, 2053),
  asReference('etcd, TTL 2 s, SIGSTOP, median', 'etcd', stop, 1960),
  asReference('etcd, TTL 2 s, leases trusted, SIGKILL, median', 'etcd-trusting', kill, 2053),
  asReference('etcd, TTL 2 s, leases trusted, SIGSTOP, median', 'etcd-trusting', stop, 1960),
  asReference('PostgreSQL, TTL 1 s, SIGKILL, median', 'postgres', kill, 860),
  asReference('PostgreSQL, TTL 1 s, SIGSTOP, median', 'postgres', stop, 841),
  asReference("PostgreSQL by the database's clock, TTL 1 s, SIGKILL, median", 'postgres-clock', kill, 860),
  asReference("PostgreSQL by the database's clock, TTL 1 s, SIGSTOP, median", 'postgres-clock', stop, 841),
]

/** What a run says of each. What was not run is not there. */
export function figuresOf({ cells, judgements }: Pick<MatrixResult, 'cells' | 'judgements'>): Figure[] {
  return asked.flatMap(({ what, store, fault, asked: wanted, measure }) => {
    const cell = cells.find((each) => each.store === store && each.cell.fault === fault)
    if (cell === undefined) return []
    const few = cell.trials.length < leastTrials
    // in whatever trial of the store
    const { measured, reached } = measure(cell, judgements.get(store)!.stale)
    const said = few ? `${measured}, in ${cell.trials.length} trials of the ${leastTrials} that are asked` : measured
    return [{ what, asked: wanted, measured: said, reached: few ? undefined : reached }]
  })
}
