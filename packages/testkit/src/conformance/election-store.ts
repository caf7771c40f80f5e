/** What every store of an election must do, over its port and through groups: a suite for `node:test`. */
import assert from 'node:assert/strict'
import { describe, type TestContext } from 'node:test'
import { ElectionError, type GroupView, type StoreSession } from '@ricci/election'
import { codeOf, electionTests, type ElectionBench, type ElectionStoreBackend } from './election-bench.ts'
import { groupConformance } from './election-groups.ts'
import { journalConformance } from './election-journal.ts'

/**
 * Runs the suite; at its end it says what it ran against, which `npm test` gathers.
 * @param name of the store
 * @param makeBackend `context.after` is the place to clean up
 * @example electionStoreConformance('memory', async () => { const store = memory(); return { store: () => store } })
 */
export function electionStoreConformance(
  name: string,
  makeBackend: (context: TestContext) => Promise<ElectionStoreBackend>,
): void {
  const each = electionTests(makeBackend)

  describe(`${name} as a store of elections`, () => {
    describe('members', () => {
      each('are there with what they publish, from when they joined until they leave', async (bench) => {
        const a = await bench.open('a', { zone: 'å"/\n', ports: [1, 2], none: null })
        const b = await bench.open('b')
        const seen = await bench.read(a)
        assert.deepEqual(seen.members.map(({ id, session, data }) => ({ id, session, data })).toSorted(byId), [
          { id: 'a', session: a.id, data: { zone: 'å"/\n', ports: [1, 2], none: null } },
          { id: 'b', session: b.id, data: null },
        ])
        await b.publish(['new'], bench.soon())
        assert.deepEqual((await bench.read(a)).members.find(({ id }) => id === 'b')?.data, ['new'])
        await bench.leave(b)
        assert.deepEqual(ids(await bench.read(a)), ['a'])
      })

      each('with one id are told apart by their sessions', async (bench) => {
        const [a, b] = [await bench.open('same'), await bench.open('same')]
        assert.notEqual(a.id, b.id)
        const { members } = await bench.read(a)
        assert.deepEqual(members.map(({ session }) => session).toSorted(), [a.id, b.id].toSorted())
        await bench.acquire(a, 'x')
        assert.equal((await bench.name(b, 'x')).holder?.session, a.id)
      })

      each('are seen without joining, also where there is none', async (bench) => {
        const store = bench.store()
        const empty = await store.look(bench.group, bench.soon())
        assert.deepEqual([empty.members, [...empty.names]], [[], []])
        const a = await bench.open('a', 1)
        const token = await bench.acquire(a, 'x')
        const seen = await store.look(bench.group, bench.soon())
        assert.deepEqual(seen.members, [{ session: a.id, id: 'a', data: 1 }])
        assert.equal(seen.names.get('x')?.token, token)
        assert.deepEqual([seen.names.get('x')?.holder?.session, seen.names.get('x')?.holder?.id], [a.id, 'a'])
      })

      each('of groups with names like ours are not ours', async (bench) => {
        const [ours, theirs] = [await bench.open('a'), await bench.open('a', null, `${bench.group}2`)]
        const token = await bench.acquire(ours, 'x')
        await bench.acquire(theirs, 'x')
        await bench.acquire(theirs, 'xy')
        const seen = await bench.read(ours)
        assert.deepEqual(ids(seen), ['a'])
        assert.deepEqual([...seen.names.keys()], ['x'])
        assert.equal(seen.names.get('x')?.token, token)
      })
    })

    describe('acquiring', () => {
      each('grants a name to one of many who ask at once', async (bench) => {
        const sessions = await Promise.all(Array.from({ length: 8 }, (_, at) => bench.open(`m${at}`)))
        for (const round of ['x', 'y', 'z']) {
          await bench.create(sessions[0], round)
          const seen = await Promise.all(sessions.map((session) => bench.name(session, round)))
          const answers = await Promise.all(sessions.map((session, at) => bench.try(session, round, seen[at])))
          const winners = answers.flatMap((answer, at) => (answer.kind === 'acquired' ? [{ at, answer }] : []))
          assert.equal(winners.length, 1, JSON.stringify(answers.map(({ kind }) => kind)))
          const [{ at, answer }] = winners
          for (const session of sessions) {
            const { holder, token } = await bench.name(session, round)
            assert.deepEqual([holder?.session, holder?.id, token], [sessions[at].id, `m${at}`, answer.token])
          }
        }
      })

      each('is conditional on the version seen, also where the name is free again', async (bench) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        await bench.create(a, 'x')
        const before = await bench.name(a, 'x')
        const token = await bench.acquire(b, 'x')
        assert.equal((await bench.try(a, 'x', before)).kind, 'changed', 'while another holds it')
        await b.release('x', token, { settled: true }, bench.soon())
        const after = await bench.name(a, 'x')
        assert.equal(after.holder, undefined)
        assert.notEqual(after.version, before.version)
        assert.equal((await bench.try(a, 'x', before)).kind, 'changed', 'free again, in another version')
        assert.equal((await bench.try(a, 'x', undefined)).kind, 'changed', 'as if it were not there')
        assert.equal((await bench.try(a, 'x', after)).kind, 'acquired')
      })

      each('gives each free time a version of its own', async (bench) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        const versions = new Set<string>()
        for (const session of [a, b, a, a, b]) {
          const token = await bench.acquire(session, 'x')
          versions.add((await bench.name(b, 'x')).version)
          await session.release('x', token, { settled: false }, bench.soon())
          versions.add((await bench.name(b, 'x')).version)
        }
        assert.equal(versions.size, 10)
        const free = await bench.name(a, 'x')
        assert.equal((await bench.name(b, 'x')).version, free.version, 'who reads twice sees one version')
      })

      each('writes down how long whoever comes next has to wait', async (bench) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        const first = await bench.acquire(a, 'x')
        assert.equal((await bench.name(b, 'x')).leaseMs, a.leaseMs, 'while it is held')
        await a.release('x', first, { settled: false, leaseMs: 3 * a.leaseMs }, bench.soon())
        assert.equal((await bench.name(b, 'x')).leaseMs, 3 * a.leaseMs, 'as who released it said')
        const second = await bench.acquire(b, 'x')
        assert.equal((await bench.name(a, 'x')).leaseMs, 3 * a.leaseMs, 'for the one before may act as long')
        await b.release('x', second, { settled: true }, bench.soon())
        await bench.acquire(b, 'x')
        assert.equal((await bench.name(a, 'x')).leaseMs, b.leaseMs, 'after one that has certainly stopped')
      })

      each('is refused to its own holder, too', async (bench) => {
        const a = await bench.open('a')
        const token = await bench.acquire(a, 'x')
        const held = await bench.name(a, 'x')
        assert.equal((await bench.try(a, 'x', held)).kind, 'changed')
        assert.equal((await bench.name(a, 'x')).token, token)
      })

      each('begins a tenure under a higher token each time, whoever acquires', async (bench) => {
        const sessions = [await bench.open('a'), await bench.open('b')]
        let last = 0n
        for (const at of [0, 1, 1, 0, 0]) {
          const token = await bench.acquire(sessions[at], 'x')
          assert.ok(token > last, `${token} after ${last}`)
          last = token
          await sessions[at].release('x', token, { settled: at === 0 }, bench.soon())
          // What shows while it is free is not above the next one's either.
          const { token: free } = await bench.name(sessions[0], 'x')
          if (free > last) last = free
        }
        for (const session of sessions) await bench.leave(session)
        const token = await bench.acquire(await bench.open('c'), 'x')
        assert.ok(token > last, `${token} after ${last}, when everybody had left`)
      })

      each(
        'goes on under higher tokens, and other versions, after an operator removed the name',
        async (bench, context) => {
          const { backend, group } = bench
          if (backend.removeName === undefined) return context.skip('nobody can remove a name of this store')
          const [a, b] = [await bench.open('a'), await bench.open('b')]
          const first = await bench.acquire(a, 'x')
          const held = await bench.name(a, 'x')
          await backend.removeName(group, 'x')
          const gone = (await bench.read(a)).names.get('x')
          assert.equal(gone?.holder, undefined, 'who held it does not hold it any more')
          const second = await bench.acquire(b, 'x')
          assert.ok(second > first, `${second} after ${first}`)
          await a.release('x', first, { settled: true }, bench.soon())
          assert.equal((await bench.name(a, 'x')).holder?.session, b.id, 'what was held before is not released')
          await b.release('x', second, { settled: true }, bench.soon())
          const free = await bench.name(a, 'x')
          await backend.removeName(group, 'x')
          assert.notEqual((await bench.try(a, 'x', held)).kind, 'acquired')
          assert.notEqual((await bench.try(a, 'x', free)).kind, 'acquired', 'the version of a name that was removed')
          const third = await bench.acquire(a, 'x')
          assert.ok(third > second, `${third} after ${second}`)
        },
      )

      each('does not say that all is quiet where a name was removed under its holder', async (bench, context) => {
        const { backend, group } = bench
        if (backend.removeName === undefined) return context.skip('nobody can remove a name of this store')
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        await bench.acquire(a, 'x')
        await backend.removeName(group, 'x')
        const seen = (await bench.read(b)).names.get('x')
        assert.notEqual(seen?.settled, true)
        const answer = await bench.try(b, 'x', seen)
        if (answer.kind !== 'acquired') assert.equal((await bench.name(b, 'x')).settled, false)
      })
    })

    describe('reading', () => {
      each('shows what was written before it was asked, by whomever', async (bench) => {
        const [a, b, c] = [await bench.open('a'), await bench.open('b'), await bench.open('c')]
        for (let round = 0; round < 10; round++) {
          const [writer, reader] = round % 2 === 0 ? [a, b] : [b, c]
          const token = await bench.acquire(writer, 'x')
          const held = await bench.name(reader, 'x')
          assert.deepEqual([held.holder?.session, held.token], [writer.id, token])
          await writer.release('x', token, { settled: true }, bench.soon())
          assert.equal((await bench.name(reader, 'x')).holder, undefined)
        }
      })

      each('confirms what is held, as long as it is', async (bench) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        const token = await bench.acquire(a, 'x')
        const first = await bench.name(a, 'x')
        await b.publish('news', bench.soon())
        for (let round = 0; round < 5; round++) {
          const { holder, token: seen, version } = await bench.name(a, 'x')
          assert.deepEqual([holder?.session, seen, version], [a.id, token, first.version])
        }
      })

      each('shows 64 names at once', async (bench) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        const names = Array.from({ length: 64 }, (_, at) => `name-${at}`)
        const tokens = await Promise.all(names.map((name, at) => bench.acquire(at % 2 === 0 ? a : b, name)))
        const seen = await bench.read(b)
        assert.equal(seen.names.size, 64)
        names.forEach((name, at) => {
          const { holder, token } = seen.names.get(name)!
          assert.deepEqual([holder?.id, token], [at % 2 === 0 ? 'a' : 'b', tokens[at]], name)
        })
      })

      each('ends with its signal', async (bench) => {
        const a = await bench.open('a')
        const reason = new Error('enough')
        const reading = a.read(AbortSignal.abort(reason))
        // A store in process answers at once; whoever waits for a network gives up.
        await reading.catch((error: unknown) => assert.equal(error, reason))
        assert.deepEqual(ids(await bench.read(a)), ['a'])
      })
    })

    describe('giving up', () => {
      each('says whether all is quiet, and to whom the name goes', async (bench) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        const table = [{ settled: true }, { settled: false }, { settled: true, successor: 'b' }] as const
        for (const how of table) {
          const token = await bench.acquire(a, 'x')
          await a.release('x', token, how, bench.soon())
          const { holder, settled, successor } = await bench.name(b, 'x')
          assert.deepEqual([holder, settled, successor], [undefined, how.settled, 'successor' in how ? 'b' : undefined])
        }
      })

      each('by leaving is not quiet, and what an earlier holder said does not count any more', async (bench) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        await a.release('x', await bench.acquire(a, 'x'), { settled: true, successor: 'b' }, bench.soon())
        await bench.acquire(b, 'x')
        await bench.leave(b)
        const { holder, settled, successor } = await bench.name(a, 'x')
        assert.deepEqual([holder, settled, successor], [undefined, false, undefined])
      })

      each('does nothing to what another holds, or to a later tenure', async (bench) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        const first = await bench.acquire(a, 'x')
        await b.release('x', first, { settled: true }, bench.soon())
        assert.equal((await bench.name(a, 'x')).holder?.session, a.id, 'of another session')
        await a.release('x', first, { settled: false }, bench.soon())
        const second = await bench.acquire(a, 'x')
        await a.release('x', first, { settled: true }, bench.soon())
        const { holder, token } = await bench.name(a, 'x')
        assert.deepEqual([holder?.session, token], [a.id, second], 'late, under the earlier token')
        await a.release('x', second, { settled: false }, bench.soon())
        await a.release('x', second, { settled: true }, bench.soon())
        assert.equal((await bench.name(a, 'x')).settled, false, 'released already')
        await a.release('never', 1n, { settled: true }, bench.soon())
        assert.equal((await bench.read(a)).names.get('never')?.holder, undefined)
      })
    })

    describe('a session that the store ends', () => {
      each('because it gave no sign of life frees what it held', async (bench, context) => {
        if (bench.backend.sessionsLast === true) return context.skip('a session of this store dies with us')
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        const token = await bench.acquire(a, 'x')
        bench.silence(a)
        const { names } = await bench.follow(b, 'a is gone', (view) => !ids(view).includes('a'))
        assert.notEqual(names.get('x')!.holder?.session, a.id, 'whoever is no member holds nothing')
        assert.ok((await bench.acquire(b, 'x')) > token)
      })

      each('is told so, and what it held is free without being quiet', async (bench, context) => {
        const { backend, group } = bench
        if (backend.endSession === undefined) return context.skip('nobody can end a session of this store')
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        const token = await bench.acquire(a, 'x')
        const others = await bench.acquire(b, 'y')
        await backend.endSession(group, a.id)
        await bench.follow(b, 'a is gone', (view) => !ids(view).includes('a'))
        const { holder, settled } = await bench.name(b, 'x')
        assert.deepEqual([holder, settled], [undefined, false])
        assert.equal((await bench.name(b, 'y')).token, others)
        const said = await a.read(bench.soon()).then(
          ({ members }) => members.every(({ session }) => session !== a.id),
          (error: unknown) => error instanceof ElectionError && error.code === 'SESSION_LOST',
        )
        assert.ok(said, 'a read says that the session is lost')
        const answer = await a.acquire(await bench.name(b, 'x'), 'x', bench.soon()).catch(codeOf)
        assert.ok(answer === 'SESSION_LOST' || (typeof answer === 'object' && answer.kind === 'changed'), `${answer}`)
        const next = await bench.acquire(b, 'x')
        assert.ok(next > token)
        await a.release('x', token, { settled: true }, bench.soon()).catch(codeOf)
        assert.equal((await bench.name(b, 'x')).holder?.session, b.id)
      })
    })

    describe('waiting for a change', () => {
      /** Changes by what they are: what brings them about, and what then shows. */
      const changes: Record<
        string,
        (
          bench: ElectionBench,
          actor: StoreSession,
        ) => Promise<{ act: () => Promise<unknown>; shows: (view: GroupView) => boolean }>
      > = {
        'an acquisition': async (bench, actor) => {
          await bench.create(actor, 'x')
          return {
            act: () => bench.acquire(actor, 'x'),
            shows: ({ names }) => names.get('x')?.holder?.session === actor.id,
          }
        },
        'a release': async (bench, actor) => {
          const token = await bench.acquire(actor, 'x')
          return {
            act: () => actor.release('x', token, { settled: true }, bench.soon()),
            shows: ({ names }) => names.get('x')?.holder === undefined,
          }
        },
        'who joins': async (bench) => ({
          act: () => bench.open('new'),
          shows: (view) => ids(view).includes('new'),
        }),
        'who leaves': async (bench, actor) => ({
          act: () => bench.leave(actor),
          shows: (view) => !ids(view).includes('actor'),
        }),
        'a request': async (bench, actor) => {
          const token = await bench.acquire(actor, 'x')
          return {
            act: () => bench.store().request(bench.group, 'x', token, { by: 'me' }, bench.soon()),
            shows: ({ names }) => names.get('x')?.request?.by === 'me',
          }
        },
      }
      for (const [what, prepare] of Object.entries(changes)) {
        each(`wakes at ${what}`, async (bench) => {
          const [observer, actor] = [await bench.open('observer'), await bench.open('actor')]
          const { act, shows } = await prepare(bench, actor)
          // Nothing but `changed` brings about a read: one that did not wake would wait for ever.
          const noticed = (async () => {
            do await observer.changed(bench.soon())
            while (!shows(await bench.read(observer)))
          })()
          await act()
          await noticed
        })
      }

      each('resolves at first, and ends with its signal', async (bench) => {
        const a = await bench.open('a')
        await a.changed(bench.soon())
        const abort = new AbortController()
        const reason = new Error('enough')
        const waiting = (async () => {
          for (;;) await a.changed(abort.signal)
        })()
        // By the answer to this the store has taken up the wait.
        await bench.read(a)
        abort.abort(reason)
        await assert.rejects(waiting, reason)
      })
    })

    describe('a request for a name', () => {
      each('is seen with the tenure that it addresses, and with no other', async (bench) => {
        const [a, b] = [await bench.open('a'), await bench.open('b')]
        const request = (token: bigint, more: { to?: string; attempt?: string }) =>
          bench.store().request(bench.group, 'x', token, { by: 'b', ...more }, bench.soon())
        const first = await bench.acquire(a, 'x')
        assert.equal((await bench.name(a, 'x')).request, undefined)
        await request(first + 1n, { to: 'b' })
        assert.equal((await bench.name(a, 'x')).request, undefined, 'of another tenure')
        await request(first, { to: 'b' })
        assert.deepEqual((await bench.name(a, 'x')).request, { by: 'b', to: 'b' })
        await a.release('x', first, { settled: true, successor: 'b' }, bench.soon())
        assert.equal((await bench.name(a, 'x')).request, undefined, 'of a name that is free')
        const second = await bench.acquire(b, 'x')
        assert.equal((await bench.name(b, 'x')).request, undefined, 'of the tenure before')
        await request(first, { to: 'a' })
        assert.equal((await bench.name(b, 'x')).request, undefined, 'too late')
        await request(second, {})
        assert.deepEqual((await bench.name(b, 'x')).request, { by: 'b' })
        await request(second, { attempt: '2' })
        assert.deepEqual((await bench.name(b, 'x')).request, { by: 'b', attempt: '2' })
      })
    })

    journalConformance(each)
    groupConformance(each)

    each('is known by what it runs on', async ({ backend }, context) => {
      context.diagnostic(`ran against ${await backend.servers()}`)
    })
  })
}

function ids({ members }: GroupView): string[] {
  return members.map(({ id }) => id).toSorted()
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1
}
