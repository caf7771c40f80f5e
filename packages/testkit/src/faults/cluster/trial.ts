/** One trial of a row: a fault done at some moment to a cluster in which all is calm, and what it did to the pages. */
import { monotonicMs } from '../pager.ts'
import type { Arena } from './arena.ts'
import type { Row } from './rows.ts'
import type { Page } from './script.ts'

/** What one trial showed. Moments on the machine's monotonic clock. */
export interface Trial {
  readonly fromMs: number
  readonly undoneMs: number
  /** When pages had been prompt for a while after it was undone. */
  readonly overMs: number
  /** See {@link Measure}; undefined where no page came. */
  readonly flowMs: number | undefined
  readonly latestMs: number | undefined
  /** The page that took longest, and when after the fault its event was sent. */
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
/** Pages are sent to each partition concerned this often around a fault … */
const probeMs = 50
/** … or, of more partitions than this, so often. */
const fewPartitions = 4
const probeManyMs = 150
/** From before the fault on, so that some are in flight. */
const beforeMs = 600
/** Pages that were prompt for so long flow. */
const steadyMs = 2_000
/** A page is prompt within this time, on a busy machine, too. */
const promptMs = 1_000
const patienceMs = 120_000

/** Does it. @throws Error when it does not come right */
export async function runTrial(arena: Arena, row: Row, chance: () => number): Promise<Trial> {
  await arena.calm()
  const before = await ownersOf(arena)
  const all = Array.from({ length: arena.partitions }, (_, partition) => partition)
  const probed = arena.clustersOf(all)
  const everyMs = probed.length > fewPartitions ? probeManyMs : probeMs
  const probing = setInterval(() => {
    for (const cluster of probed) arena.script.next(cluster)
  }, everyMs)
  try {
    await pass(beforeMs + chance() * momentsMs)
    const { partitions, strike, undo, mend } = await row.prepare(arena)
    const fromMs = monotonicMs()
    await strike()
    await pass(Math.max(0, fromMs + (row.lastsMs ?? 0) - monotonicMs()))
    await undo()
    const undoneMs = monotonicMs()
    await untilFlowing(arena, partitions, fromMs, undoneMs)
    const overMs = monotonicMs()
    const figures = figuresOf(arena.script.pages(), (cluster) => arena.partitionOf(cluster), partitions, fromMs, overMs)
    const ownersStayed = (await ownersOf(arena)) === before
    clearInterval(probing)
    await mend?.()
    return { fromMs, undoneMs, overMs, ...figures, ownersStayed }
  } finally {
    clearInterval(probing)
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
  for (const { host, cluster, sentMs, arrivedMs } of after) {
    if (arrivedMs === undefined) continue
    const partition = partitionOf(cluster)
    firsts.set(partition, Math.min(arrivedMs, firsts.get(partition) ?? Infinity))
    if (arrivedMs - sentMs <= (latestMs ?? 0)) continue
    latestMs = arrivedMs - sentMs
    latest = `${host}, sent after ${Math.round(sentMs - fromMs)} ms`
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

/** Waits until every page sent for a while after the fault was undone has arrived in good time, of each partition that has pages. */
async function untilFlowing(
  arena: Arena,
  partitions: readonly number[],
  fromMs: number,
  undoneMs: number,
): Promise<void> {
  let sinceMs = undoneMs
  await arena.until(
    'pages to flow',
    () => {
      const nowMs = monotonicMs()
      const pages = arena.script.pages().filter(({ sentMs }) => sentMs >= fromMs)
      const befallen = pages.filter(({ cluster }) => partitions.includes(arena.partitionOf(cluster)))
      const isDue = ({ sentMs }: Page): boolean => sentMs < nowMs - promptMs
      const isLate = ({ sentMs, arrivedMs }: Page): boolean => (arrivedMs ?? nowMs) - sentMs > promptMs
      for (const page of befallen) if (isDue(page) && isLate(page)) sinceMs = Math.max(sinceMs, page.arrivedMs ?? nowMs)
      return befallen.length > 0 && nowMs - sinceMs > steadyMs + promptMs
    },
    patienceMs,
  )
}

/** Who owns what, as text to be compared. */
async function ownersOf(arena: Arena): Promise<string> {
  const owners = [...(await arena.owners())].map(([partition, { name }]) => `${partition} ${name}`)
  return owners.sort().join(', ')
}

/** A fault lasts for a while, and comes at any moment: what is about time itself. */
function pass(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(() => done(), ms))
}
