import { performance } from 'node:perf_hooks'
import { crc32 } from 'node:zlib'
import {
  createEngine,
  encodeEventsRecord,
  encodeRecord,
  semanticsOf,
  type Engine,
  type RulesDescription,
} from '@ricci/engine'
import { roundSeconds } from './fleet.ts'
import { ownMs, processCpuNs } from './measure.ts'

const startMs = Date.UTC(2026, 10, 21, 12)
/** Ticks of a round: two a second. */
const ticksPerRound = roundSeconds * 2

/** An engine that is fed rounds of the fleet in virtual time: messages spread over ten seconds, a tick each half second. */
export class EngineFeed {
  readonly engine: Engine
  /** CPU time spent on applying so far, nanoseconds: not on making what is applied. */
  spentNs = 0
  pageChanges = 0
  private offset = 0
  private ticks = 0
  private rounds = 0

  constructor(
    description: RulesDescription,
    settings: Readonly<Record<string, unknown>> = {},
    /** Called after each record with what applying it took and when it began, milliseconds; within the time that is measured. */
    private readonly after: (appliedMs: number, beganMs: number) => void = () => undefined,
  ) {
    this.engine = createEngine({ logId: 'bench', partition: 0, loadRules: () => description })
    const semantics = semanticsOf(description)
    this.apply(encodeRecord({ kind: 'rules', hash: 'bench', settings, semantics, bundle: new Uint8Array(0) }))
    this.apply(encodeRecord({ kind: 'claim', epoch: 1, instance: 'bench', semantics: 1 }))
  }

  /** Applies a round, message by message as they are made; `count` is how many there will be. */
  round(messages: Iterable<Uint8Array>, count: number): void {
    const fromMs = startMs + this.rounds++ * roundSeconds * 1000
    const wallMs = (tick: number): number => fromMs + tick * (1000 / 2)
    let ticked = 0
    let done = 0
    for (const message of messages) {
      const due = Math.floor((done++ * ticksPerRound) / count)
      while (ticked < due) this.tick(wallMs(ticked++))
      this.apply(encodeEventsRecord(wallMs(ticked), message))
    }
    while (ticked < ticksPerRound) this.tick(wallMs(ticked++))
    this.pageChanges += this.engine.takePageChanges().changed.length
  }

  private tick(wallMs: number): void {
    this.apply(encodeRecord({ kind: 'tick', number: ++this.ticks, epoch: 1, elapsedMs: 500, wallMs }))
  }

  private apply(bytes: Uint8Array): void {
    const checksum = crc32(bytes)
    const before = processCpuNs()
    const beganMs = performance.now()
    const applied = ownMs()
    this.engine.apply(this.offset++, bytes, checksum)
    this.after(applied(), beganMs)
    this.spentNs += processCpuNs() - before
  }
}
