import { crc32 } from 'node:zlib'
import {
  createEngine,
  type Engine,
  type EngineObserver,
  encodeRecord,
  type LogRecord,
  type RulesDescription,
  semanticsOf,
  type StateCut,
} from '@ricci/engine'

/** What an engine showed while it applied records. */
export interface Seen {
  /** What reached taps and sinks, with the offset of the record that made it. */
  readonly taps: [offset: number, name: string, value: unknown][]
  readonly decisions: [offset: number, id: string][]
  readonly alarms: [offset: number, name: string][]
}

/** Records in an array; rules are known by the hash of their record. */
export class ArrayLog {
  readonly records: Uint8Array[] = []
  readonly rules = new Map<string, RulesDescription>()

  append(...records: LogRecord[]): this {
    for (const record of records) this.records.push(encodeRecord(record))
    return this
  }

  /** Puts rules in force. */
  switchTo(description: RulesDescription, settings: Readonly<Record<string, unknown>> = {}): this {
    const hash = `rules-${this.rules.size}`
    this.rules.set(hash, description)
    return this.append({
      kind: 'rules',
      hash,
      settings,
      semantics: semanticsOf(description),
      bundle: new Uint8Array(0),
    })
  }

  open(observer: EngineObserver, snapshot?: Uint8Array): Engine {
    return createEngine({
      logId: 'array',
      partition: 0,
      loadRules: ({ hash }) => this.rules.get(hash)!,
      observer,
      ...(snapshot === undefined ? {} : { snapshot }),
    })
  }

  /**
   * Applies all records, going over a snapshot and a fresh engine before those named.
   * @param cuts offsets before which the engine is replaced by one restored from its snapshot
   */
  run(cuts: readonly number[] = []): { engine: Engine; seen: Seen; cutBytes: number } {
    const seen: Seen = { taps: [], decisions: [], alarms: [] }
    let engine: Engine
    const observer: EngineObserver = {
      onFlow: (sink, { position }, event) => seen.taps.push([engine.appliedOffset, sink, [position, event]]),
      onTap: (name, value, offset) => seen.taps.push([offset, name, value]),
      onDecision: (page, offset) => seen.decisions.push([offset, page.id]),
      onAlarm: (name, _detail, offset) => seen.alarms.push([offset, name]),
    }
    engine = this.open(observer)
    let cutBytes = 0
    this.records.forEach((bytes, offset) => {
      if (cuts.includes(offset)) {
        const snapshot = Buffer.concat([...engine.snapshot()])
        cutBytes += snapshot.length
        engine = this.open(observer, snapshot)
      }
      engine.apply(offset, bytes, crc32(bytes))
    })
    return { engine, seen, cutBytes }
  }

  /**
   * A cut of the state before a record, worked on while all later records are applied, a step after every `pace` of them; gives the
   * hash of the state at the cut, what the cut made of it, and the hash of an engine restored from the slices.
   */
  cutWhileApplying(cut: number, pace: number): { atCut: string; cut: string | undefined; restored: string } {
    const engine = this.open({})
    const slices: Uint8Array[] = []
    let under: StateCut | undefined
    let atCut = ''
    this.records.forEach((bytes, offset) => {
      if (offset === cut) {
        atCut = engine.stateHash()
        under = engine.cut((slice) => slices.push(slice))
      }
      engine.apply(offset, bytes, crc32(bytes))
      if (offset % pace === 0) {
        under?.step()
        // looking at the present state says nothing of the cut, and does nothing to it
        engine.stateHash()
      }
    })
    while (under!.step());
    return { atCut, cut: under!.hash, restored: this.open({}, Buffer.concat(slices)).stateHash() }
  }
}
