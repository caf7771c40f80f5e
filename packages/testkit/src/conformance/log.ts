/** What every log must do, whatever it is built on: a suite for `node:test`. */
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { crc32 } from 'node:zlib'
import { ReplicaError, type LogPort, type StoredRecord } from '@ricci/replica'
import { SeededRandom } from '../random.ts'
import { settle, until, type Turn } from './turns.ts'

/** One log, which can be opened more than once, one after the other. Made anew for each test. */
export interface LogBackend {
  open(): Promise<LogPort>
  /** Removes records from the beginning on, as retention does, so that `log.range(0)` begins later; where it can be made to. */
  trim?(log: LogPort): Promise<void>
  turn?: Turn
}

/**
 * Runs the suite.
 * @param name of the backend
 * @param makeBackend makes an empty log; `context.after` is the place to clean up
 * @example logConformance('embedded log', async (context) => ({ open: () => EmbeddedLog.open(…) }))
 */
export function logConformance(name: string, makeBackend: (context: TestContext) => Promise<LogBackend>): void {
  const each = (what: string, run: (log: LogPort, backend: LogBackend, context: TestContext) => Promise<void>) =>
    test(what, async (context) => {
      const backend = await makeBackend(context)
      const log = await backend.open()
      await run(log, backend, context)
      await log.close()
    })

  describe(`${name} as a log`, () => {
    each('an empty log begins and ends at 0', async (log) => {
      assert.match(log.id, /^\S+$/)
      assert.ok(log.partitions >= 1)
      for (let partition = 0; partition < log.partitions; partition++) {
        assert.deepEqual(await log.range(partition), { first: 0, end: 0 })
      }
    })

    each('offsets count from 0 without holes, in the order of the records of a call', async (log) => {
      assert.deepEqual(await log.append(0, records('a')), [0])
      assert.deepEqual(await log.append(0, []), [])
      assert.deepEqual((await log.append(0, records('b', 'c', 'd'))).toSorted(ascending), [1, 2, 3])
      assert.deepEqual(await log.range(0), { first: 0, end: 4 })
      assert.deepEqual(await take(log, 0, 4), ['0 a', '1 b', '2 c', '3 d'])
    })

    each('with room for all, records of every rank stand in the order of their appends', async (log) => {
      const ranks = ['rescue', 'ordinary', 'act', 'fact'] as const
      for (const [offset, rank] of ranks.entries()) assert.deepEqual(await log.append(0, records(rank), rank), [offset])
      assert.deepEqual(await take(log, 0, 4), ['0 rescue', '1 ordinary', '2 act', '3 fact'])
      assert.equal(log.wantsSnapshot?.(0) ?? false, false)
    })

    each('partitions do not mix', async (log) => {
      for (let partition = 0; partition < log.partitions; partition++) {
        assert.deepEqual(await log.append(partition, records(`of ${partition}`)), [0])
      }
      for (let partition = 0; partition < log.partitions; partition++) {
        assert.deepEqual(await take(log, 0, 1, partition), [`0 of ${partition}`])
      }
      await assert.rejects(log.append(log.partitions, records('nowhere')), ReplicaError)
    })

    each('many appenders at once: each record stands once, at the offset that was told', async (log) => {
      const told = new Map<number, string>()
      await Promise.all(
        Array.from({ length: 50 }, async (_, appender) => {
          for (let round = 0; round < 6; round++) {
            const texts = Array.from({ length: round }, (_, index) => `${appender} ${round} ${index}`)
            const offsets = await log.append(0, records(...texts))
            assert.deepEqual(offsets, offsets.toSorted(ascending), 'records of a call stand in order')
            offsets.forEach((offset, index) => told.set(offset, `${offset} ${texts[index]}`))
          }
        }),
      )
      const all = await take(log, 0, 50 * 15)
      assert.equal(told.size, all.length)
      all.forEach((record, offset) => assert.equal(record, told.get(offset)))
    })

    each('records of every size come back as they were, with their CRC-32', async (log) => {
      const random = new SeededRandom(name)
      const sizes = [0, 1, 7, 100, 4_095, 4_096, 65_535, 65_536, 70_000, 1_500_000]
      const sent = random.shuffled(sizes).map((size) => Uint8Array.from({ length: size }, () => random.below(256)))
      await Promise.all(sent.map((record) => log.append(0, [record])))
      const found = await takeRecords(log, 0, sent.length)
      found.forEach(({ bytes, checksum }, index) => {
        assert.ok(Buffer.from(bytes).equals(sent[index]))
        assert.equal(checksum, crc32(sent[index]))
      })
    })

    each('what the caller does with its bytes after the append changes nothing', async (log) => {
      const record = Buffer.alloc(10_000, 'x')
      const small = Buffer.from('small')
      await log.append(0, [record, small])
      record.fill('y')
      small.fill('y')
      const [first, second] = await take(log, 0, 2)
      assert.ok(first === `0 ${'x'.repeat(10_000)}`, 'a large record changed')
      assert.equal(second, '1 small')
    })

    each('reads from any offset, as many readers as want to', async (log) => {
      const texts = Array.from({ length: 40 }, (_, index) => `record ${index}`)
      for (let from = 0; from < texts.length; from += 5) await log.append(0, records(...texts.slice(from, from + 5)))
      const expected = texts.map((text, offset) => `${offset} ${text}`)
      const reads = texts.map((_, from) => take(log, from, texts.length - from))
      for (const [from, read] of (await Promise.all(reads)).entries()) assert.deepEqual(read, expected.slice(from))
    })

    each('a read goes on as records come, and may begin beyond the end', async (log, { turn }) => {
      const seen: string[] = []
      const abort = new AbortController()
      const reading = collect(log, 2, abort.signal, seen)
      await log.append(0, records('a', 'b'))
      await settle(turn)
      assert.deepEqual(seen, [])
      await log.append(0, records('c'))
      await until('the record appended', () => seen.length === 1, turn)
      await log.append(0, records('d', 'e'))
      await until('the records appended later', () => seen.length === 3, turn)
      assert.deepEqual(seen, ['2 c', '3 d', '4 e'])
      abort.abort()
      await reading
    })

    each('what a reader was given is within the range: it is durable', async (log, { turn }) => {
      const abort = new AbortController()
      let last = -1
      const reading = (async () => {
        for await (const batch of log.read(0, 0, abort.signal)) {
          assert.ok(batch.length > 0)
          for (const { offset } of batch) assert.equal(offset, ++last)
          assert.ok((await log.range(0)).end > last)
        }
      })()
      for (let round = 0; round < 30; round++) await log.append(0, records('x', 'y'))
      await until('all records', () => last === 59, turn)
      abort.abort()
      await reading
    })

    each('a read ends when its signal aborts, while it waits and before it began', async (log, { turn }) => {
      await log.append(0, records('a'))
      const abort = new AbortController()
      const seen: string[] = []
      const reading = collect(log, 0, abort.signal, seen)
      await until('the first record', () => seen.length === 1, turn)
      abort.abort()
      await reading
      await log.append(0, records('b'))
      await settle(turn)
      assert.deepEqual(seen, ['0 a'])
      await collect(log, 0, AbortSignal.abort(), seen)
      assert.deepEqual(seen, ['0 a'])
    })

    each('a reader that stops in the middle leaves nothing behind', async (log) => {
      await log.append(0, records('a', 'b'))
      for (let round = 0; round < 3; round++) {
        for await (const batch of log.read(0, 0, new AbortController().signal)) {
          assert.equal(batch[0].offset, 0)
          break
        }
      }
      assert.deepEqual(await log.append(0, records('c')), [2])
    })

    test('what was acknowledged is there after a reopen, under the same id', async (context) => {
      const backend = await makeBackend(context)
      let id: string | undefined
      for (let round = 0; round < 4; round++) {
        const log = await backend.open()
        assert.equal(log.id, (id ??= log.id))
        assert.deepEqual(await log.range(0), { first: 0, end: round * 2 })
        assert.deepEqual(await log.append(0, records(`a${round}`, `b${round}`)), [round * 2, round * 2 + 1])
        const expected = Array.from({ length: round + 1 }, (_, r) => [`${r * 2} a${r}`, `${r * 2 + 1} b${r}`]).flat()
        assert.deepEqual(await take(log, 0, expected.length), expected)
        await log.close()
      }
    })

    test('offsets that retention took are refused; the rest is read as before', async (context) => {
      const backend = await makeBackend(context)
      if (backend.trim === undefined) return context.skip('this backend cannot be made to trim')
      const log = await backend.open()
      await backend.trim(log)
      const { first, end } = await log.range(0)
      assert.ok(first > 0 && end > first)
      for (const from of [0, first - 1]) {
        await assert.rejects(take(log, from, 1), { code: 'OFFSET_TRIMMED' })
      }
      assert.equal((await takeRecords(log, first, end - first))[0].offset, first)
      assert.deepEqual(await log.append(0, records('next')), [end])
      await log.close()
      const again = await backend.open()
      assert.deepEqual(await again.range(0), { first, end: end + 1 })
      await again.close()
    })

    test('close: what was appended before is settled, what comes after is refused', async (context) => {
      const backend = await makeBackend(context)
      const log = await backend.open()
      await log.append(0, records('a'))
      const seen: string[] = []
      const abort = new AbortController()
      const reading = collect(log, 0, abort.signal, seen)
      await until('the first record', () => seen.length === 1, backend.turn)
      const appended = log.append(0, records('b'))
      const closing = log.close()
      await assert.rejects(log.append(0, records('c')), { code: 'LOG_CLOSED' })
      assert.deepEqual(await appended, [1])
      await Promise.all([closing, log.close()])
      // Whether a read ends with its log or goes silent is the backend's affair; its signal ends it in any case.
      abort.abort()
      await reading
      const again = await backend.open()
      assert.deepEqual(await take(again, 0, 2), ['0 a', '1 b'])
      assert.deepEqual(await again.range(0), { first: 0, end: 2 })
      await again.close()
    })
  })
}

function records(...texts: string[]): Uint8Array[] {
  return texts.map((text) => new TextEncoder().encode(text))
}

/** `count` records from an offset on, each as `OFFSET TEXT`. */
async function take(log: LogPort, from: number, count: number, partition = 0): Promise<string[]> {
  return (await takeRecords(log, from, count, partition)).map(show)
}

async function takeRecords(log: LogPort, from: number, count: number, partition = 0): Promise<StoredRecord[]> {
  const abort = new AbortController()
  const taken: StoredRecord[] = []
  for await (const batch of log.read(partition, from, abort.signal)) {
    // A batch is valid until the next one.
    for (const { offset, bytes, checksum } of batch) taken.push({ offset, bytes: bytes.slice(), checksum })
    if (taken.length >= count) abort.abort()
  }
  assert.equal(taken.length, count)
  return taken
}

async function collect(log: LogPort, from: number, signal: AbortSignal, seen: string[]): Promise<void> {
  for await (const batch of log.read(0, from, signal)) seen.push(...batch.map(show))
}

function show({ offset, bytes }: StoredRecord): string {
  return `${offset} ${new TextDecoder().decode(bytes)}`
}

function ascending(a: number, b: number): number {
  return a - b
}
