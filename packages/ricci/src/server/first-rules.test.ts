// A log that several servers find empty begins with rules in each partition, the same in all, and with nothing before them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultSettings, encodeRecord, type RulesRecord } from '@ricci/engine'
import type { LogPort, StoredRecord } from '@ricci/replica'
import { isWithoutRules, writeFirstRules } from './first-rules.ts'
import { nodeClock } from './node-clock.ts'

const [ours, theirs] = ['ours', 'theirs'].map((hash): RulesRecord => {
  return { kind: 'rules', hash, settings: { ...defaultSettings }, semantics: 1, bundle: new Uint8Array(3) }
})
const bytesOf = (rules: RulesRecord): Buffer => Buffer.from(encodeRecord(rules))

test('of two that begin it at once, one decides what all partitions begin with', async () => {
  const log = new Log(3)
  assert.equal(await isWithoutRules(log), true)
  await Promise.all([begin(log, ours), begin(log, theirs)])
  assert.equal(await isWithoutRules(log), false)
  const [first] = log.records[0]
  for (const records of log.records) {
    assert.deepEqual(records[0], first, 'every partition begins with them')
    assert.deepEqual(records.at(-1), first, 'and runs them')
  }
})

test('one that was left half begun is begun to its end, with what it began with', async () => {
  const log = new Log(3)
  await log.append(0, [bytesOf(theirs)])
  assert.equal(await isWithoutRules(log), true)
  await begin(log, ours)
  assert.deepEqual(log.records, [[bytesOf(theirs)], [bytesOf(theirs)], [bytesOf(theirs)]])
})

test('who is told to stop waits no longer for brokers that take nothing', async () => {
  const log = new Log(1)
  log.append = () => new Promise(() => undefined)
  const stopping = new AbortController()
  const begun = writeFirstRules(log, ours, nodeClock, stopping.signal)
  stopping.abort(new Error('told to stop'))
  await assert.rejects(begun, /told to stop/)
})

function begin(log: LogPort, rules: RulesRecord): Promise<void> {
  return writeFirstRules(log, rules, nodeClock, new AbortController().signal)
}

class Log implements LogPort {
  readonly id = 'log'
  readonly records: Buffer[][]

  constructor(readonly partitions: number) {
    this.records = Array.from({ length: partitions }, () => [])
  }

  append(partition: number, records: readonly Uint8Array[]): Promise<number[]> {
    return Promise.resolve(records.map((bytes) => this.records[partition].push(Buffer.from(bytes)) - 1))
  }

  async *read(partition: number, from: number): AsyncGenerator<readonly StoredRecord[]> {
    await Promise.resolve()
    const records = this.records[partition].slice(from)
    yield records.map((bytes, place) => ({ offset: from + place, bytes, checksum: 0 }))
  }

  endOf(partition: number): Promise<number> {
    return Promise.resolve(this.records[partition].length)
  }

  range(partition: number): Promise<{ first: number; end: number }> {
    return Promise.resolve({ first: 0, end: this.records[partition].length })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
