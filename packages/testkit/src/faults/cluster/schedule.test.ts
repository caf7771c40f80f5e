import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { scheduleOf } from './schedule.ts'
import { timeline, type Timeline } from './timeline.ts'

const minutes = (count: number): number => count * 60_000

describe('a schedule of faults', () => {
  it('is the same for the same seed, and another for another', () => {
    assert.deepEqual(scheduleOf(1, minutes(5), true), scheduleOf(1, minutes(5), true))
    assert.notDeepEqual(scheduleOf(1, minutes(5), true), scheduleOf(2, minutes(5), true))
  })

  it('has faults in its first minute, several at once, all over before its end', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const faults = scheduleOf(seed, minutes(1), true)
      assert.ok(faults.length >= 3, `seed ${seed}: ${faults.length}`)
      for (const { atMs, lastsMs } of faults) assert.ok(atMs >= 3_000 && atMs + lastsMs <= minutes(1) * 0.85)
    }
    const faults = scheduleOf(1, minutes(5), true)
    const overlapping = faults.filter(({ atMs }, at) => faults[at - 1]?.atMs + faults[at - 1]?.lastsMs > atMs)
    assert.ok(overlapping.length > 3)
  })

  it('in an hour each kind comes, and cuts only where something can be cut', () => {
    const kinds = (canCut: boolean): string[] => [
      ...new Set(scheduleOf(1, minutes(60), canCut).map(({ kind }) => kind)),
    ]
    assert.equal(kinds(true).length, 15)
    const without = kinds(false)
    assert.equal(without.length, 11)
    assert.ok(without.every((kind) => !/cut|deaf/.test(kind)))
  })

  it('befalls no instance twice at the same time', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const faults = scheduleOf(seed, minutes(10), true).filter(({ kind }) => /instance|agent/.test(kind))
      for (const [at, fault] of faults.entries())
        for (const other of faults.slice(at + 1)) {
          const isSame = fault.target === other.target || /all/.test(fault.kind + other.kind)
          assert.ok(!isSame || other.atMs >= fault.atMs + fault.lastsMs, `seed ${seed}: ${fault.kind}, ${other.kind}`)
        }
    }
  })
})

describe('the picture of a run', () => {
  const of: Timeline = {
    title: 'Seed 1 <&>',
    fromMs: 1_000,
    toMs: 61_000,
    instances: ['a', 'b'],
    spans: [
      { what: 'instance killed', lane: 'instance a', fromMs: 11_000, toMs: 13_000 },
      { what: 'broker frozen', lane: 'broker 0', fromMs: 12_000, toMs: 20_000 },
    ],
    ownerships: [
      { partition: 0, instance: 'b', fromMs: 12_500 },
      { partition: 0, instance: 'a', fromMs: 500 },
    ],
    decidedMs: [900, 5_000, 5_001],
    deliveredMs: [5_100, 61_001],
    pages: [
      { host: 'job-0', sentMs: 900, arrivedMs: 5_000 },
      { host: 'job-1', sentMs: 5_000, arrivedMs: 5_100 },
      { host: 'job-2', sentMs: 5_001, arrivedMs: undefined },
    ],
  }
  const svg = timeline(of)
  const titles = (what: RegExp): string[] =>
    [...svg.matchAll(/<title>([^<]*)<\/title>/g)].map(([, text]) => text).filter((text) => what.test(text))
  const barOf = (what: string): { x: number; width: number; fill: string } => {
    const [, x, width, fill] = new RegExp(
      `<rect x="([\\d.]+)" y="[\\d.]+" width="([\\d.]+)" height="[\\d.]+" fill="([^"]+)"><title>${what}`,
    ).exec(svg)!
    return { x: Number(x), width: Number(width), fill }
  }

  it('is XML whose elements are closed, and whose words are escaped', () => {
    const open: string[] = []
    for (const [tag, name] of svg.matchAll(/<\/?(\w+)[^>]*>/g)) {
      if (tag.startsWith('</')) assert.equal(open.pop(), name)
      else if (!tag.endsWith('/>')) open.push(name)
    }
    assert.deepEqual(open, [])
    assert.match(svg, /Seed 1 &lt;&amp;>/)
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
  })

  it('has a bar for each fault, as long as it lasted', () => {
    assert.deepEqual(titles(/killed|frozen/), ['broker frozen, 8 s', 'instance killed, 2 s'])
    const [killed, frozen] = [barOf('instance killed'), barOf('broker frozen')]
    assert.ok(Math.abs(frozen.width - 4 * killed.width) < 1)
    assert.notEqual(killed.fill, frozen.fill)
  })

  it('has a bar for each owner, from its claim to the next, by its colour', () => {
    const [a, b] = [barOf('partition 0: a'), barOf('partition 0: b')]
    assert.ok(Math.abs(a.x + a.width - b.x) < 1)
    assert.ok(b.width > a.width)
    assert.notEqual(a.fill, b.fill)
  })

  it('counts pages of its time, and shows those that never came', () => {
    assert.deepEqual(titles(/decided|delivered/), ['2 decided', '1 delivered'])
    assert.deepEqual(titles(/job/), ['job-1: 100 ms', 'job-2: never'])
  })
})
