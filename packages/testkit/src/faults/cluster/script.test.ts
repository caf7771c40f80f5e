// The truth of a run, and what of the log is judged for it: each wrong is done once to what is right, and must be found.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { encodeMsg, type Event } from '@ricci/client'
import { encodeRecord, incident, index, rules, tap, where, type LogRecord } from '@ricci/engine'
import { judgeRecords, together } from '../evidence.ts'
import { SeededRandom } from '../../random.ts'
import type { Effect, PageRequest } from '../pager.ts'
import type { Feed, Sent } from './feed.ts'
import { ofForeign } from './judgement.ts'
import { Script, jobRule, noteRule, silentRule } from './script.ts'
import { difference, withHoles } from './streams.ts'

/** A feed that sends nothing and keeps what it was asked. */
class NoFeed {
  readonly sent: { readonly cluster: number; readonly event: Event }[] = []
  readonly talk: string[] = []

  send(cluster: number, event: Event): Sent {
    this.sent.push({ cluster, event })
    return { sentMs: this.sent.length, ackedMs: this.sent.length + 1 }
  }

  talking(host: string, talking: boolean): void {
    this.talk.push(`${host} ${talking}`)
  }
}

const silent = { service: 'alive', rule: silentRule, ttlMs: 10_000 }

/** A log of a partition: a claim, and then whatever the test says. */
class Log {
  readonly records: LogRecord[] = []
  private ticks = 0
  private sequence = 0

  constructor() {
    const bundle = new Uint8Array(0)
    this.records.push({ kind: 'rules', hash: 'hash', settings: { graceMs: 0 }, semantics: 1, bundle })
    this.claim(1, 'a')
  }

  claim(epoch: number, instance: string): this {
    this.records.push({ kind: 'claim', epoch, instance, semantics: 1 })
    return this
  }

  /** So much owned time passes. */
  seconds(count: number, epoch = 1): this {
    for (let i = 0; i < count; i++) {
      const number = ++this.ticks
      this.records.push({ kind: 'tick', number, epoch, elapsedMs: 1_000, wallMs: number * 1_000 })
    }
    return this
  }

  heard(host: string): this {
    const sequence = ++this.sequence
    const time = this.ticks
    const events = [{ host, service: 'alive', state: 'ok', ttl: 10, time, metric: sequence }]
    const mark = { producer: 'p', incarnation: 1, sequence, sentAtMs: time * 1_000 }
    this.records.push({ kind: 'events', receivedAtMs: time * 1_000, msg: encodeMsg({ events, mark }) })
    return this
  }

  /** Judged by a word that holds for so long. */
  judge(ttlMs = silent.ttlMs) {
    const stored = this.records.map((record, offset) => {
      const bytes = encodeRecord(record)
      return { offset, bytes, checksum: crc32(bytes) }
    })
    const watched = where('service = "alive"', incident(silentRule, { bad: 'state = "expired"', to: 'pager' }))
    const loadRules = () => rules(index(), tap('all'), watched)
    return judgeRecords(stored, { logId: 'log', partition: 3, presence: { ...silent, ttlMs }, loadRules })
  }
}

describe('what the log says', () => {
  it('who was silent for as long as its word held was called so rightly', () => {
    const { decided, falseWatchdogs } = new Log().seconds(2).heard('h').seconds(15).judge()
    assert.deepEqual(
      [...decided.values()].map(({ action, host }) => `${action} ${host}`),
      ['trigger h'],
    )
    assert.deepEqual(falseWatchdogs, [])
  })

  it('who was heard within the time of its word was not', () => {
    const log = new Log().seconds(2).heard('h').seconds(15)
    assert.match(log.judge(20_000).falseWatchdogs[0], /^h was called silent: it was heard \d+ ms .* \(partition 3\)$/)
  })

  it('who came to own, and from when', () => {
    const log = new Log().seconds(2).claim(2, 'b').seconds(1, 2).claim(3, 'c')
    assert.deepEqual(log.judge().ownerships, [
      { partition: 3, epoch: 1, instance: 'a', fromMs: 1_000 },
      { partition: 3, epoch: 2, instance: 'b', fromMs: 3_000 },
      { partition: 3, epoch: 3, instance: 'c', fromMs: 3_000 },
    ])
  })

  it('of all partitions together', () => {
    const [one, other] = [new Log().heard('h').judge(), new Log().heard('i').heard('i').judge()]
    const { records, applied, held, claims } = together([one, other])
    assert.deepEqual([records, claims, applied.get(1), applied.get(2)], [one.records + other.records, 2, 2, 1])
    assert.deepEqual(held.get('p'), new Set([1, 2]))
  })
})

describe('publishers that know nothing of Ricci', () => {
  it('what was confirmed to them is in the log', () => {
    const applied = new Map([
      [7, 1],
      [8, 2],
    ])
    assert.deepEqual(ofForeign({ applied }, [7, 8]), [])
    assert.match(ofForeign({ applied }, [7, 9])[0], /record 9 of a foreign publisher was confirmed/)
  })
})

describe('copies of a stream', () => {
  const copy = (...offsets: number[]) =>
    offsets.map((offset) => ({ offset, checksum: offset * 7, bytes: new Uint8Array(0) }))

  it('are the same, or told to differ', () => {
    assert.equal(difference(copy(0, 1, 3), copy(0, 1, 3)), undefined)
    assert.match(difference(copy(0, 1), copy(0, 1, 3))!, /ends at offset 1, another copy at 3/)
    assert.match(difference(copy(0, 2, 3), copy(0, 1, 3))!, /offset 2 is another record than offset 1/)
    const changed = [...copy(0), { offset: 1, checksum: 8 }]
    assert.match(difference(changed, copy(0, 1))!, /offset 1 is another record/)
  })

  it('have an empty record where the stream used an offset for itself', () => {
    assert.deepEqual(
      withHoles(copy(0, 3)).map(({ offset, checksum }) => [offset, checksum]),
      [
        [0, 0],
        [1, 0],
        [2, 0],
        [3, 21],
      ],
    )
  })
})

const effect = (action: string, rule: string, host: string): Effect => ({
  id: `${action} ${host}`,
  action,
  rule,
  host,
  dedupKey: host,
})

describe('the script of a run', () => {
  /** A script whose next thing is of this kind; gives its host. */
  function begun(kind: 'note' | 'blinks' | 'stays' | 'recovers'): { script: Script; feed: NoFeed; host: string } {
    const feed = new NoFeed()
    const draws = { note: 0.1, blinks: 0.3, stays: 0.4, recovers: 0.9 }
    const random = new SeededRandom(1)
    random.next = () => draws[kind]
    const script = new Script(feed as unknown as Feed, random, 2, 3)
    script.next()
    return { script, feed, host: feed.sent[0].event.host! }
  }

  it('a job that stays failed is told once', () => {
    const { script, host } = begun('stays')
    assert.match(script.missing()[0], /was not told: trigger job-failed job-0/)
    script.tookEffect(effect('trigger', jobRule, host))
    assert.deepEqual([...script.missing(), ...script.excess()], [])
    assert.ok(script.atRest)
    script.tookEffect(effect('resolve', jobRule, host))
    assert.match(script.excess()[0], /resolve job-failed job-0: 1 times, 0 are right/)
    script.tookEffect(effect('trigger', jobRule, host))
    assert.match(script.excess().join(), /trigger job-failed job-0: 2 times, 1 are right/)
  })

  it('one that recovers does so once it was told, and must be resolved', () => {
    const { script, feed, host } = begun('recovers')
    assert.equal(feed.sent.length, 1)
    assert.ok(!script.atRest)
    script.tookEffect(effect('trigger', jobRule, host))
    assert.equal(feed.sent[1].event.state, 'ok')
    assert.match(script.missing()[0], /was not told: resolve/)
    script.tookEffect(effect('resolve', jobRule, host))
    assert.deepEqual([...script.missing(), ...script.excess()], [])
  })

  it('one that blinks may be told or not; if it was, it must be resolved', () => {
    const { script, feed, host } = begun('blinks')
    assert.equal(feed.sent.length, 2)
    assert.deepEqual([...script.missing(), ...script.excess(), ...script.pages()], [])
    script.tookEffect(effect('trigger', jobRule, host))
    assert.match(script.missing()[0], /was not told: resolve/)
  })

  it('a note is told at least once', () => {
    const { script, host } = begun('note')
    assert.match(script.missing()[0], /was not told: notify note note-0/)
    for (let times = 0; times < 2; times++) script.tookEffect(effect('notify', noteRule, host))
    assert.deepEqual([...script.missing(), ...script.excess()], [])
  })

  it('a silent host is told, and talks again only then', () => {
    const { script, feed } = begun('note')
    script.silence()
    const host = feed.talk[0].split(' ')[0]
    assert.match(script.missing().join(), new RegExp(`trigger host-silent ${host}`))
    script.tookEffect(effect('trigger', silentRule, host))
    assert.deepEqual(feed.talk, [`${host} false`, `${host} true`])
    assert.match(script.missing().join(), new RegExp(`resolve host-silent ${host}`))
  })

  it('no host falls silent again of which nobody was told that it talks', () => {
    const { script, feed } = begun('note')
    script.silence()
    const host = feed.talk[0].split(' ')[0]
    script.tookEffect(effect('trigger', silentRule, host))
    script.silence()
    assert.equal(feed.talk.length, 2)
    script.tookEffect(effect('resolve', silentRule, host))
    script.silence()
    assert.deepEqual(feed.talk, [`${host} false`, `${host} true`, `${host} false`])
  })

  it('strangers are no pages', () => {
    const { script } = begun('note')
    script.tookEffect(effect('trigger', jobRule, 'who'))
    assert.match(script.excess()[0], /a page of a stranger: trigger job-failed who/)
  })

  it('when a page was due, arrived and was answered, each by its first time', () => {
    const { script, host } = begun('stays')
    const request = { ...effect('trigger', jobRule, host), possibleRepeat: false, effectsBefore: 0, status: 200 }
    for (const ms of [10, 20]) {
      script.arrived({ ...request, arrivedMs: ms } as PageRequest)
      script.answered({ ...request, arrivedMs: ms, answeredMs: ms + 5 } as PageRequest)
    }
    assert.deepEqual(script.pages(), [{ host, cluster: 0, sentMs: 1, ackedMs: 2, arrivedMs: 10, answeredMs: 15 }])
  })
})
