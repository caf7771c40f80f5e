/** What every store's journal of actions must do. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe } from 'node:test'
import type { Journal, StoreSession } from '@ricci/election'
import type { ElectionBench, ElectionTest } from './election-bench.ts'

/** The journal's part of the suite. */
export function journalConformance(each: ElectionTest): void {
  describe('the journal', () => {
    const journalled = (
      what: string,
      run: (bench: ElectionBench, journals: { a: Journal; b: Journal }, sessions: StoreSession[]) => Promise<void>,
    ) =>
      each(what, async (bench, context) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        if (a.journal === undefined || b.journal === undefined) return context.skip('this store keeps no journal')
        await run(bench, { a: a.journal, b: b.journal }, [a, b])
      })

    journalled('takes an intent once; the same call again is the same intent', async (bench, { a }, [holder]) => {
      const token = await bench.acquire(holder, 'x')
      const begin = (id: string, attempt: string) => a.begin('x', token, id, attempt, bench.soon())
      assert.deepEqual(await begin('invoice/7 å', '1'), { kind: 'begun' })
      assert.deepEqual(await begin('invoice/7 å', '1'), { kind: 'begun' }, 'whose answer was lost')
      assert.deepEqual(await begin('invoice/7 å', '2'), { kind: 'exists', token, attempt: '1', done: false })
      assert.deepEqual(await begin('invoice/8', '3'), { kind: 'begun' }, 'another id')
      await a.finish('x', 'invoice/7 å', '2', bench.soon())
      assert.deepEqual(
        await begin('invoice/7 å', '2'),
        { kind: 'exists', token, attempt: '1', done: false },
        'not its own to end',
      )
      await a.finish('x', 'invoice/7 å', '1', bench.soon())
      assert.deepEqual(await begin('invoice/7 å', '2'), { kind: 'exists', token, attempt: '1', done: true })
      await a.finish('x', 'never begun', '1', bench.soon())
      assert.deepEqual(await begin('never begun', '4'), { kind: 'begun' })
    })

    journalled('tells every two ids apart, whatever they look like', async (bench, { a }, [holder]) => {
      const token = await bench.acquire(holder, 'x')
      const hashes = Array.from({ length: 32 }, (_, at) => createHash('sha256').update(`${at}`).digest('hex')).join('')
      const ids = [
        '.',
        '..',
        '...',
        '/',
        'a/',
        'a',
        './a',
        '%2e',
        '%',
        '~',
        "'",
        'å',
        'a\u030a',
        ' ',
        hashes,
        `${hashes.slice(1)}0`,
      ]
      for (const id of ids) {
        assert.deepEqual(await a.begin('x', token, id, '1', bench.soon()), { kind: 'begun' }, id)
      }
      for (const id of ids) {
        await a.finish('x', id, '1', bench.soon())
        const done = { kind: 'exists', token, attempt: '1', done: true }
        assert.deepEqual(await a.begin('x', token, id, '2', bench.soon()), done, id)
      }
      assert.equal(await a.prune('x', -60_000, bench.soon()), ids.length)
    })

    journalled('takes one of several calls that come at once', async (bench, { a }, [holder]) => {
      const token = await bench.acquire(holder, 'x')
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, at) => a.begin('x', token, 'id', `${at}`, bench.soon())),
      )
      assert.equal(answers.filter(({ kind }) => kind === 'begun').length, 1)
      assert.equal(answers.filter(({ kind }) => kind === 'exists').length, 7)
    })

    journalled('is shut to whoever does not hold the name under this token', async (bench, { a, b }, [one, two]) => {
      const first = await bench.acquire(one, 'x')
      const stale = { kind: 'stale' }
      assert.deepEqual(await b.begin('x', first, 'id', '1', bench.soon()), stale, 'another session')
      assert.deepEqual(await a.begin('x', first - 1n, 'id', '2', bench.soon()), stale, 'another token')
      assert.deepEqual(await a.begin('y', first, 'id', '3', bench.soon()), stale, 'another name')
      assert.deepEqual(await a.begin('x', first, 'old', '4', bench.soon()), { kind: 'begun' })
      await one.release('x', first, { settled: true }, bench.soon())
      assert.deepEqual(await a.begin('x', first, 'id', '5', bench.soon()), stale, 'released')
      const second = await bench.acquire(two, 'x')
      assert.deepEqual(await a.begin('x', first, 'id', '6', bench.soon()), stale, 'another holds it')
      const old = { kind: 'exists', token: first, attempt: '4', done: false }
      assert.deepEqual(await b.begin('x', second, 'old', '7', bench.soon()), old, 'who died in between')
      await a.finish('x', 'old', '4', bench.soon())
      const done = { kind: 'exists', token: first, attempt: '4', done: true }
      assert.deepEqual(await b.begin('x', second, 'old', '8', bench.soon()), done, 'whoever began it may say so')
      assert.deepEqual(await b.begin('x', second, 'id', '9', bench.soon()), { kind: 'begun' }, 'no trace of the stale')
      await two.release('x', second, { settled: true }, bench.soon())
      const third = await bench.acquire(one, 'x')
      assert.deepEqual(await a.begin('x', first, 'again', '10', bench.soon()), stale, 'its own earlier tenure')
      assert.deepEqual(await a.begin('x', third, 'again', '11', bench.soon()), { kind: 'begun' })
    })

    journalled('gives back what was withdrawn, by whoever began it', async (bench, { a }, [holder]) => {
      const token = await bench.acquire(holder, 'x')
      const begin = (attempt: string) => a.begin('x', token, 'id', attempt, bench.soon())
      await begin('1')
      await a.withdraw('x', 'id', '2', bench.soon())
      assert.equal((await begin('2')).kind, 'exists', 'another withdraws nothing')
      await a.withdraw('x', 'id', '1', bench.soon())
      await a.withdraw('x', 'id', '1', bench.soon())
      assert.equal((await begin('2')).kind, 'begun')
    })

    journalled('is pruned by age and name', async (bench, { a }, [holder]) => {
      const [x, y] = [await bench.acquire(holder, 'x'), await bench.acquire(holder, 'y')]
      for (let at = 0; at < 70; at++) await a.begin('x', x, `id ${at}`, '1', bench.soon())
      await a.begin('y', y, 'id', '1', bench.soon())
      assert.equal(await a.prune('x', 3_600_000, bench.soon()), 0)
      assert.equal((await a.begin('x', x, 'id 3', '2', bench.soon())).kind, 'exists')
      await bench.turn()
      let pruned = 0
      for (let calls = 0; pruned < 70; calls++) {
        assert.ok(calls < 70, `${pruned} were pruned`)
        pruned += await a.prune('x', 0, bench.soon())
      }
      assert.equal(pruned, 70)
      assert.equal((await a.begin('x', x, 'id 3', '2', bench.soon())).kind, 'begun')
      assert.equal((await a.begin('y', y, 'id', '2', bench.soon())).kind, 'exists', 'of another name')
    })
  })
}
