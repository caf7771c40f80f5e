/** What every store of snapshots must do: a suite for `node:test`. */
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import type { SnapshotInfo, SnapshotPort } from '@ricci/replica'
import { until, type Turn } from './turns.ts'

/** One store, which can be opened more than once. Made anew for each test. */
export interface SnapshotBackend {
  open(): Promise<SnapshotPort>
  /** How many of a partition it keeps at least; 3 unless told. */
  keep?: number
  /** Changes or cuts what is stored, behind the store's back; where that can be. */
  damage?(info: SnapshotInfo): Promise<void>
  turn?: Turn
}

/** Runs the suite: see `logConformance`. */
export function snapshotConformance(
  name: string,
  makeBackend: (context: TestContext) => Promise<SnapshotBackend>,
): void {
  const each = (what: string, run: (store: SnapshotPort, backend: SnapshotBackend) => Promise<void>) =>
    test(what, async (context) => {
      const backend = await makeBackend(context)
      await run(await backend.open(), backend)
    })

  describe(`${name} as a store of snapshots`, () => {
    each('is empty at first', async (store) => {
      assert.deepEqual(await store.list(0), [])
    })

    each('gives back what was stored in slices, at once or as they come', async (store) => {
      const first = await store.store(0, 17, slices(['ab', '', 'cde']))
      assert.deepEqual(
        { partition: first.partition, offset: first.offset, bytes: first.bytes },
        { partition: 0, offset: 17, bytes: 5 },
      )
      const second = await store.store(0, 99, later(['x'.repeat(100_000), 'y'.repeat(70_000)]))
      assert.equal(text(await store.fetch(first)), 'abcde')
      assert.equal(text(await store.fetch(second)), 'x'.repeat(100_000) + 'y'.repeat(70_000))
      assert.deepEqual((await store.list(0)).toSorted(byOffset), [first, second])
    })

    each('may be given one and the same buffer for every slice', async (store) => {
      const info = await store.store(0, 1, reused(['first', 'secnd', 'third']))
      assert.equal(text(await store.fetch(info)), 'firstsecndthird')
    })

    each('a snapshot may be empty', async (store) => {
      const info = await store.store(0, 0, [])
      assert.equal((await store.fetch(info)).length, 0)
      assert.deepEqual(await store.list(0), [info])
    })

    each('keeps partitions apart', async (store) => {
      const a = await store.store(0, 5, slices(['a']))
      const b = await store.store(31, 5, slices(['b']))
      assert.deepEqual([await store.list(0), await store.list(31), await store.list(3)], [[a], [b], []])
      assert.equal(text(await store.fetch(b)), 'b')
    })

    each('one that is not stored whole is not listed, meanwhile or after', async (store, { turn }) => {
      const before = await store.store(0, 1, slices(['whole']))
      let goOn = () => {}
      let asked = false
      const endless = (async function* () {
        yield* slices(['part'])
        asked = true
        await new Promise<void>((resolve) => (goOn = resolve))
        throw new Error('the engine has gone')
      })()
      const storing = assert.rejects(store.store(0, 2, endless), /the engine has gone/)
      await until('the second slice is asked for', () => asked, turn)
      assert.deepEqual(await store.list(0), [before])
      goOn()
      await storing
      assert.deepEqual(await store.list(0), [before])
    })

    each('the same offset stored twice: the later one is there', async (store) => {
      await store.store(0, 8, slices(['old and long']))
      const info = await store.store(0, 8, slices(['new']))
      assert.deepEqual(
        (await store.list(0)).filter(({ name }) => name === info.name),
        [info],
      )
      assert.equal(text(await store.fetch(info)), 'new')
    })

    each('what is removed is gone, and may be removed again', async (store) => {
      const a = await store.store(0, 1, slices(['a']))
      const b = await store.store(0, 2, slices(['b']))
      await store.remove(a)
      await store.remove(a)
      assert.deepEqual(await store.list(0), [b])
      await assert.rejects(store.fetch(a), Error)
    })

    each('what was fetched belongs to who fetched it', async (store) => {
      const info = await store.store(0, 1, slices(['mine']))
      ;(await store.fetch(info)).fill(0)
      assert.equal(text(await store.fetch(info)), 'mine')
    })

    each('keeps the newest ones over a reopen', async (store, backend) => {
      const keep = backend.keep ?? 3
      const stored: SnapshotInfo[] = []
      for (let offset = 10; offset < 10 + keep + 3; offset++) {
        stored.push(await store.store(0, offset, slices([`at ${offset}`])))
      }
      const again = await backend.open()
      const listed = (await again.list(0)).toSorted(byOffset)
      assert.deepEqual(listed.slice(-keep), stored.slice(-keep))
      for (const info of listed) assert.equal(text(await again.fetch(info)), `at ${info.offset}`)
    })

    test('damaged ones are not listed after a reopen, and never fetched', async (context) => {
      const backend = await makeBackend(context)
      if (backend.damage === undefined) return context.skip('this backend cannot be damaged')
      const store = await backend.open()
      const a = await store.store(0, 1, slices(['a'.repeat(5_000)]))
      const b = await store.store(0, 2, slices(['b'.repeat(5_000)]))
      await backend.damage(b)
      await assert.rejects(store.fetch(b), { code: 'SNAPSHOT_UNREADABLE' })
      const again = await backend.open()
      assert.deepEqual(await again.list(0), [a])
      await assert.rejects(again.fetch(b), { code: 'SNAPSHOT_UNREADABLE' })
    })
  })
}

function* slices(texts: readonly string[]): Iterable<Uint8Array> {
  for (const part of texts) yield new TextEncoder().encode(part)
}

async function* later(texts: readonly string[]): AsyncIterable<Uint8Array> {
  for (const slice of slices(texts)) {
    await new Promise((resolve) => setImmediate(resolve))
    yield slice
  }
}

function* reused(texts: readonly string[]): Iterable<Uint8Array> {
  const buffer = new Uint8Array(5)
  for (const slice of slices(texts)) {
    buffer.set(slice)
    yield buffer
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function byOffset(a: SnapshotInfo, b: SnapshotInfo): number {
  return a.offset - b.offset
}
