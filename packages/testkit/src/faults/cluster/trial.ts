/** One trial of a row: a fault done at some moment to a cluster in which all is calm, and what it did to the pages. */
import { monotonicMs } from '../pager.ts'
import type { Arena } from './arena.ts'
import type { Row } from './rows.ts'
import type { Page } from './script.ts'

/** What one trial showed. Moments on the machine's monotonic clock. */
export interface Trial {
  readonly fromMs: number
  readonly undoneMs: number
  /** When all pages had arrived that were sent until a while after it was undone. */
  readonly overMs: number
  /** Partitions that the fault befell. */
  readonly partitions: readonly number[]
  /** See {@link Measure}; undefined where no page came. */
  readonly flowMs: number | undefined
  readonly latestMs: number | undefined
  /** The page that took longest, when after the fault its event was sent, and when it was acknowledged. */
  readonly latest: string
  /** Pages whose event was acknowledged before the fault, and whose receiver had not answered. */
  readonly inFlight: number
  /** Pages whose event was sent from the fault on until it was over. */
  readonly pages: number
  /** Whether the same instances owned the same partitions afterwards. */
  readonly ownersStayed: boolean
}

/** Faults come at any moment within this time: twice the time between two signs of life of an instance's session, and of ticks. */
const momentsMs = 2_000
/** Around a fault pages are sent to one partition after another, this often: a page costs the machine what a thousand events do … */
const probeMs = 60
/** … and where it is asked when they flow again, to each that the fault befell so often … */
const probeEachMs = 200
/** … for so long. */
const probeEachForMs = 4_000
/** From before the fault on, so that some are in flight. */
const beforeMs = 600
/** It is over when everything has arrived that was sent until so long after the fault was undone. */
const steadyMs = 3_000
const patienceMs = 120_000

/** Does it. @throws Error when it does not come right */
export async function runTrial(arena: Arena, row: Row, chance: () => number): Promise<Trial> {
  await arena.calm()
  const before = await ownersOf(arena)
  const probes = new Probes(arena)
  try {
    await pass(beforeMs + chance() * momentsMs)
    const { partitions, strike, undo, mend } = await row.prepare(arena)
    const fromMs = monotonicMs()
    if (row.measure === 'flow') probes.ofEach(partitions)
    await strike()
    await pass(Math.max(0, fromMs + (row.lastsMs ?? 0) - monotonicMs()))
    await undo()
    const undoneMs = monotonicMs()
    await untilFlowing(arena, fromMs, undoneMs)
    const overMs = monotonicMs()
    const figures = figuresOf(arena.script.pages(), (cluster) => arena.partitionOf(cluster), partitions, fromMs, overMs)
    const ownersStayed = (await ownersOf(arena)) === before
    probes.end()
    await mend?.()
    return { fromMs, undoneMs, overMs, partitions, ...figures, ownersStayed }
  } finally {
    probes.end()
  }
}

/** What pages say of a fault that befell these partitions. */
export function figuresOf(
  pages: readonly Page[],
  partitionOf: (cluster: number) => number,
  partitions: readonly number[],
  fromMs: number,
  overMs: number,
): Pick<Trial, 'flowMs' | 'latestMs' | 'latest' | 'inFlight' | 'pages'> {
  const isBefallen = ({ cluster }: Page): boolean => partitions.includes(partitionOf(cluster))
  const after = pages.filter((page) => page.sentMs >= fromMs && page.sentMs < overMs && isBefallen(page))
  const firsts = new Map<number, number>()
  let latestMs: number | undefined
  let latest = 'none'
  for (const { host, cluster, sentMs, ackedMs = NaN, arrivedMs } of after) {
    if (arrivedMs === undefined) continue
    const partition = partitionOf(cluster)
    firsts.set(partition, Math.min(arrivedMs, firsts.get(partition) ?? Infinity))
    if (arrivedMs - sentMs <= (latestMs ?? 0)) continue
    latestMs = arrivedMs - sentMs
    latest = `${host}, sent after ${Math.round(sentMs - fromMs)} ms, acknowledged ${Math.round(ackedMs - sentMs)} ms later`
  }
  const inFlight = pages.filter(
    (page) =>
      isBefallen(page) &&
      page.ackedMs !== undefined &&
      page.ackedMs < fromMs &&
      (page.answeredMs === undefined || page.answeredMs > fromMs),
  )
  return {
    flowMs: firsts.size === 0 ? undefined : Math.max(...firsts.values()) - fromMs,
    latestMs,
    latest,
    inFlight: inFlight.length,
    pages: after.length,
  }
}

/** Waits until every page has arrived whose event was sent from the fault until a while after it was undone. */
async function untilFlowing(arena: Arena, fromMs: number, undoneMs: number): Promise<void> {
  await arena.until(
    'pages to flow',
    () => {
      const pages = arena.script.pages().filter(({ sentMs }) => sentMs >= fromMs && sentMs < undoneMs + steadyMs)
      const hasAll = pages.length > 0 && pages.every(({ arrivedMs }) => arrivedMs !== undefined)
      return hasAll && monotonicMs() > undoneMs + steadyMs
    },
    patienceMs,
  )
}

/** Pages beside the steady ones, so that it shows when they flow. */
class Probes {
  private readonly timers: NodeJS.Timeout[] = []
  private turn = 0

  constructor(private readonly arena: Arena) {
    const clusters = arena.clustersOf(Array.from({ length: arena.partitions }, (_, partition) => partition))
    this.every(probeMs, () => arena.script.next(clusters[this.turn++ % clusters.length]))
  }

  /** For a while to each of these partitions. */
  ofEach(partitions: readonly number[]): void {
    const clusters = this.arena.clustersOf(partitions)
    const timer = this.every(probeEachMs, () => {
      for (const cluster of clusters) this.arena.script.next(cluster)
    })
    this.timers.push(setTimeout(() => clearInterval(timer), probeEachForMs))
  }

  /** May be called again. */
  end(): void {
    for (const timer of this.timers) clearInterval(timer)
  }

  private every(ms: number, send: () => void): NodeJS.Timeout {
    const timer = setInterval(send, ms)
    this.timers.push(timer)
    return timer
  }
}

/** Who owns what, as text to be compared. */
async function ownersOf(arena: Arena): Promise<string> {
  const owners = [...(await arena.allOwners())].map(([partition, { name }]) => `${partition} ${name}`)
  return owners.sort().join(', ')
}

/** A fault lasts for a while, and comes at any moment: what is about time itself. */
function pass(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(() => done(), ms))
}
