// Incidents that are one for a whole group: who is bad is counted, whoever takes over.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { escalationOf } from './escalation.ts'
import { memberLimit } from './incidents.ts'
import { Desk } from './testing.ts'

const minuteMs = 60_000
const incidentOf = (desk: Desk) => desk.decisions.incidents().open[0]
const badOf = (desk: Desk) => incidentOf(desk).members!.flatMap(({ key, bad }) => (bad ? [key] : []))

describe('an incident of a group', () => {
  it('is one page from the first that is bad to the last, and says how many they were', () => {
    const desk = new Desk()
    desk.member('cpu', 'web', 'a', false)
    desk.member('cpu', 'web', 'a', true)
    desk.member('cpu', 'web', 'b', true)
    desk.member('cpu', 'db', 'x', true)
    desk.send(desk.pending[0], 'delivered')
    desk.member('cpu', 'web', 'a', false)
    desk.member('cpu', 'web', 'stranger', false)
    assert.deepEqual(badOf(desk), ['b'])
    desk.restore()
    desk.member('cpu', 'web', 'b', false)
    assert.deepEqual(desk.decided, ['trigger oncall cpu web', 'trigger oncall cpu db', 'resolve oncall cpu web'])
    const [closed] = desk.decisions.incidents().closed
    assert.equal(closed.closed?.reason, 'none of its 2 is bad any more')
    assert.equal(desk.decisions.pendingPages().at(-1)!.summary, 'none of its 2 is bad any more: it is good')
  })

  it('is acknowledged for those that were bad by then: one more breaks it, one that was there does not', () => {
    const desk = new Desk()
    desk.member('cpu', 'web', 'a', true, escalationOf([{ after: '15m', to: 'lead' }], ['oncall']))
    desk.member('cpu', 'web', 'b', true)
    const acknowledge = (id: string) => desk.command(id, 'acknowledge', { rule: 'cpu', key: 'web' })
    assert.equal(acknowledge('1'), 'acknowledged')
    desk.member('cpu', 'web', 'b', false)
    desk.member('cpu', 'web', 'b', true)
    desk.tick(20 * minuteMs)
    assert.notEqual(incidentOf(desk).acknowledged, undefined)
    desk.member('cpu', 'web', 'c', true)
    assert.equal(incidentOf(desk).acknowledged, undefined)
    desk.tick(15 * minuteMs)
    assert.equal(
      desk.decisions.pendingPages().at(-1)!.summary,
      'not acknowledged for 15 min: it is bad (3 are bad)',
      'it is told how far it spread',
    )
  })

  it('remembers so many: who is well makes room, and of one too many is told once', () => {
    const desk = new Desk()
    for (let n = 0; n < memberLimit; n++) desk.member('cpu', 'web', `m${n}`, true)
    desk.member('cpu', 'web', 'm3', false)
    desk.member('cpu', 'web', 'new', true)
    assert.equal(incidentOf(desk).membersLost, undefined)
    desk.command('1', 'acknowledge', { rule: 'cpu', key: 'web' })
    for (let n = 0; n < 3; n++) desk.member('cpu', 'web', 'one too many', true)
    assert.deepEqual([incidentOf(desk).membersLost, incidentOf(desk).members!.length], [true, memberLimit])
    assert.equal(incidentOf(desk).acknowledged, undefined, 'given for less, all the same')
    assert.equal(desk.alarms.length, 1)
    assert.match(desk.alarms[0], /^group-full .*one too many$/)
  })

  it('goes on from one that rules without a group had opened, and ends under rules without one', () => {
    const desk = new Desk()
    desk.event('cpu', 'web', true)
    desk.event('disk', 'web', true)
    desk.member('cpu', 'web', 'a', true)
    desk.member('cpu', 'web', 'b', false)
    assert.deepEqual(desk.decisions.incidents().closed, [])
    desk.member('cpu', 'web', 'a', false)
    desk.member('disk', 'web', 'a', false)
    desk.member('cpu', 'web', 'a', true)
    desk.event('cpu', 'web', false)
    assert.deepEqual(
      desk.decisions.incidents().closed.map(({ rule }) => rule),
      ['cpu', 'disk', 'cpu'],
    )
  })

  it('is open if and only if any of its group is bad, however it is cut, and pages for nothing else', () => {
    const step = fc.record({
      group: fc.constantFrom('g', 'h'),
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      bad: fc.boolean(),
      cut: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      resolve: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const desk = new Desk()
        const uncut = new Desk()
        const bad = new Map<string, Set<string>>()
        let triggers = 0
        for (const [n, { group, key, bad: isBad, cut, resolve }] of steps.entries()) {
          const members = bad.get(group) ?? new Set()
          if (isBad && members.size === 0) triggers++
          if (isBad) members.add(key)
          else members.delete(key)
          bad.set(group, members)
          for (const one of [desk, uncut]) one.member('cpu', group, key, isBad)
          if (resolve) {
            for (const one of [desk, uncut]) one.command(`r${n}`, 'resolve', { rule: 'cpu', key: group })
            members.clear()
          }
          if (cut) desk.restore()
          const open = desk.decisions.incidents().open
          const shown = open.map(({ key: name, members: all = [] }) => [
            name,
            all.flatMap((one) => (one.bad ? [one.key] : [])).sort(),
          ])
          const wanted = [...bad].filter(([, set]) => set.size > 0).map(([name, set]) => [name, [...set].sort()])
          assert.deepEqual(shown.sort(), wanted.sort())
        }
        assert.equal(desk.decided.filter((one) => one.startsWith('trigger')).length, triggers)
        assert.deepEqual(desk.decisions.incidents(), uncut.decisions.incidents())
        assert.equal(desk.decisions.hash, uncut.decisions.hash)
      }),
      { numRuns: 60, seed: 20261130 },
    )
  })
})
