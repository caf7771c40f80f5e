import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partitionOf } from '@ricci/replica'
import { SeededRandom } from '../random.ts'
import { hostClusters, jobRule, Jobs } from './jobs.ts'
import type { Page } from './receiver.ts'

const page = (action: string, host: string): Page => ({ action, host, rule: jobRule, by: 'a' })

describe('the jobs of a playground', () => {
  it('are in partitions of their own', () => {
    const own = hostClusters.map((name) => partitionOf(name, hostClusters.length))
    assert.equal(new Set(own).size, hostClusters.length)
  })

  it('fail and recover in turn, each after its page was told', () => {
    const jobs = new Jobs(new SeededRandom('turns'))
    for (let step = 0; step < 1_000; step++) {
      const { host, due } = jobs.next(step)!
      assert.deepEqual(jobs.tally().missing, [`${due!.action} ${host}`])
      const verdict = jobs.told(page(due!.action, host), step + 70)
      assert.deepEqual(verdict, { kind: 'due', afterMs: 70, late: false })
    }
    const { begun, ended, ...rest } = jobs.tally()
    assert.equal(begun + ended, 1_000)
    assert.ok(begun >= ended && begun - ended <= jobs.all.length)
    assert.deepEqual(rest, { delivered: 1_000, doubled: 0, missing: [] })
  })

  it('stand still while no page is told, and are told of once', () => {
    const jobs = new Jobs(new SeededRandom('still'))
    while (jobs.next(0) !== undefined) continue
    assert.deepEqual(
      jobs.tally().missing,
      jobs.all.map(({ host }) => `trigger ${host}`),
    )
    assert.equal(jobs.overdue(2_999).length, 0)
    assert.equal(jobs.overdue(3_000).length, jobs.all.length)
    assert.equal(jobs.overdue(4_000).length, 0)
  })

  it('have a resolve wait by design as long as a request of its trigger may be under way', () => {
    const jobs = new Jobs(new SeededRandom('resolves'))
    let job = jobs.next(0)!
    for (; job.failed; job = jobs.next(0)!) jobs.told(page('trigger', job.host), 0)
    assert.deepEqual([jobs.overdue(14_999), jobs.overdue(15_000)], [[], [job]])
    assert.deepEqual(jobs.told(page('resolve', job.host), 16_000), { kind: 'due', afterMs: 16_000, late: true })
  })

  it('take what is told again, what did not happen and what nobody asked for as doubled', () => {
    const jobs = new Jobs(new SeededRandom('doubled'))
    const { host } = jobs.next(0)!
    assert.equal(jobs.told(page('resolve', host), 1).kind, 'doubled')
    assert.equal(jobs.told(page('trigger', 'stranger'), 1).kind, 'doubled')
    assert.equal(jobs.told({ ...page('trigger', host), rule: 'another' }, 1).kind, 'doubled')
    assert.equal(jobs.told(page('trigger', host), 1).kind, 'due')
    assert.equal(jobs.told(page('trigger', host), 2).kind, 'doubled')
    assert.deepEqual(jobs.tally(), { begun: 1, ended: 0, delivered: 1, doubled: 4, missing: [] })
  })
})
