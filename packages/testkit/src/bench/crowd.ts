import { crc32 } from 'node:zlib'
import { encodeMsg } from '@ricci/client'
import { createEngine, encodeEventsRecord, encodeRecord, incident, type LogRecord, rules, where } from '@ricci/engine'
import { median, ownMs, type Table } from './measure.ts'

const startMs = Date.UTC(2026, 10, 21, 12)
/** Receivers, each with as many pages as may wait for one. */
const receivers = Array.from({ length: 10 }, (_, i) => `to-${i}`)
/** Incidents that change between two cuts. */
const changing = 1_000
const cutsPerCount = 9

/** What a cut takes where everybody is in trouble: incidents are open, pages wait, producers are known, each a count of. */
export function crowdedCuts(counts: readonly number[]): Table {
  return {
    title:
      'a snapshot where incidents are open, pages wait and producers are known, so many of each: median, milliseconds',
    columns: ['of each', 'MB', 'the cut', 'the longest', 'a step', 'the longest step', 'steps'],
    rows: counts.map((count) => {
      const { bytes, cutMs, stepMs, steps } = crowdedCut(count)
      const figures = [median(cutMs), Math.max(...cutMs), median(stepMs), Math.max(...stepMs)]
      return [count, (bytes / 1e6).toFixed(1), ...figures.map((ms) => ms.toFixed(2)), steps]
    }),
  }
}

function crowdedCut(count: number) {
  const description = rules(
    ...receivers.map((to, i) => where(`metric = ${i}`, incident(`down-${i}`, { bad: 'state = "bad"', to }))),
  )
  const engine = createEngine({ logId: 'bench', partition: 0, loadRules: () => description })
  let offset = 0
  let sequence = 1
  const apply = (bytes: Uint8Array) => engine.apply(offset++, bytes, crc32(bytes))
  const record = (control: LogRecord) => apply(encodeRecord(control))
  const settings = { pagesPerMinute: 2 * count }
  record({ kind: 'rules', hash: 'bench', settings, semantics: 1, bundle: new Uint8Array(0) })
  record({ kind: 'claim', epoch: 1, instance: 'bench', semantics: 1 })
  const event = (i: number, state: string) => {
    const metric = i % receivers.length
    const told = { host: `host-${i}.example.com`, service: 'load', state, metric, time: startMs / 1_000, ttl: 3_600 }
    const mark = { producer: `producer-${i}`, incarnation: 1, sequence, sentAtMs: startMs }
    apply(encodeEventsRecord(startMs, encodeMsg({ events: [told], mark })))
  }
  for (let i = 0; i < count; i++) event(i, 'bad')
  const cutMs: number[] = []
  const stepMs: number[] = []
  let bytes = 0
  let steps = 0
  for (let round = 0; round < cutsPerCount; round++) {
    bytes = steps = 0
    const cutting = ownMs()
    const cut = engine.cut((slice) => (bytes += slice.length))
    cutMs.push(cutting())
    sequence++
    for (let i = 0; i < Math.min(changing, count); i++) event(i, round % 2 === 0 ? 'ok' : 'bad')
    for (let more = true; more; steps++) {
      const step = ownMs()
      more = cut.step()
      stepMs.push(step())
    }
  }
  return { bytes, cutMs, stepMs, steps }
}
