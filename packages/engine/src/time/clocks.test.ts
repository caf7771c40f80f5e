import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Clocks } from './clocks.ts'
import { TimerColumn } from './timers.ts'

it('fires by the lag behind the end of the move, then by operator, then by id; never by who was set first', () => {
  const clocks = new Clocks()
  const fired: string[] = []
  const column = (identity: number, clock = clocks.owned): TimerColumn => {
    const timers = new TimerColumn(clocks, clock, identity, false, (id) => fired.push(`${identity}:${id}`))
    timers.ensure(4)
    return timers
  }
  // identities against the order of making, ids against the order of setting
  const third = column(3)
  const second = column(2, clocks.calendar)
  const first = column(1)
  for (const id of [2, 0, 1]) for (const timers of [third, first]) timers.set(id, 1_000)
  second.set(0, 50_500)
  second.set(1, 50_250)
  clocks.move(1_500, 51_000, false)
  assert.deepEqual(fired, ['2:1', '1:0', '1:1', '1:2', '2:0', '3:0', '3:1', '3:2'])
})

it('never goes back within a move: a timer that is set to what has passed sees the present', () => {
  const clocks = new Clocks()
  const fired: [number, number, number][] = []
  const column = (identity: number, clock: Clocks['owned'], then: () => void): TimerColumn => {
    const timers = new TimerColumn(clocks, clock, identity, false, () => {
      fired.push([identity, clocks.owned.now, clocks.calendar.now])
      then()
    })
    timers.ensure(1)
    return timers
  }
  const passed = column(2, clocks.owned, () => {})
  const last = column(3, clocks.calendar, () => {})
  column(1, clocks.owned, () => passed.set(0, 200)).set(0, 800)
  last.set(0, 10_900)
  clocks.move(1_000, 11_000, false)
  assert.deepEqual(fired, [
    [1, 800, 10_800],
    [2, 800, 10_800],
    [3, 900, 10_900],
  ])
})
