import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import type { Standing } from './progress-words.ts'
import { StallMonitor } from './stall-monitor.ts'

/** A monitor over a standing that the test moves, on virtual time; the process burns `share` of the time. */
function watched(share = 1) {
  const clock = new VirtualClock()
  const world = {
    standing: { busy: true, offset: 7, event: 3, step: 0, operator: 2 } as Standing,
    blamed: [] as Standing[],
    cpuMs: 0,
  }
  let lastMs = 0
  const monitor = new StallMonitor(
    () => world.standing,
    clock,
    () => {
      world.cpuMs += (clock.monotonicMs() - lastMs) * share
      lastMs = clock.monotonicMs()
      return world.cpuMs
    },
    (standing) => world.blamed.push(standing),
  )
  monitor.start()
  return { clock, world, monitor }
}

describe('StallMonitor', () => {
  it('blames the event on which the worker stands for 20 punctual polls, once', async () => {
    const { clock, world } = watched()
    await clock.advance(2_000)
    assert.deepEqual(world.blamed, [])
    await clock.advance(200)
    assert.deepEqual(world.blamed, [{ busy: true, offset: 7, event: 3, step: 0, operator: 2 }])
    await clock.advance(5_000)
    assert.equal(world.blamed.length, 1)
    assert.equal(clock.pendingTimers, 0)
  })

  it('blames nobody while events go by, or while there is nothing to apply', async () => {
    const { clock, world, monitor } = watched()
    for (let event = 0; event < 30; event++) {
      world.standing = { busy: true, offset: 7, event, step: 0, operator: 2 }
      await clock.advance(1_500)
    }
    world.standing = { busy: false, offset: 7, event: 29, step: 0, operator: 2 }
    await clock.advance(10_000)
    assert.deepEqual(world.blamed, [])
    monitor.stop()
    assert.equal(clock.pendingTimers, 0)
  })

  it('blames nobody while the timers or incidents of one record go by, in one and the same operator', async () => {
    const { clock, world, monitor } = watched()
    for (let step = 0; step < 30; step++) {
      world.standing = { busy: true, offset: 7, event: -1, step, operator: 2 }
      await clock.advance(1_500)
    }
    assert.deepEqual(world.blamed, [])
    await clock.advance(1_000)
    assert.equal(world.blamed.length, 1, 'but the one at which it stands')
    monitor.stop()
  })

  it('blames nobody when the process gets no processor', async () => {
    const { clock, world, monitor } = watched(0.01)
    await clock.advance(30_000)
    assert.deepEqual(world.blamed, [])
    await clock.advance(30_000)
    assert.equal(world.blamed.length, 1, 'until it has burnt enough all the same')
    monitor.stop()
  })

  it('does not count polls that came late: the process was stopped', async () => {
    const clock = new LateClock()
    const blamed: Standing[] = []
    const monitor = new StallMonitor(
      () => ({ busy: true, offset: 1, event: 0, step: 0, operator: 2 }),
      clock,
      () => clock.monotonicMs(),
      (standing) => blamed.push(standing),
    )
    monitor.start()
    for (let poll = 0; poll < 100; poll++) clock.fire(400)
    assert.deepEqual(blamed, [])
    for (let poll = 0; poll < 20; poll++) clock.fire(100)
    assert.equal(blamed.length, 1)
  })
})

/** Fires its one timer as late as it is told. */
class LateClock {
  private nowMs = 0
  private callback: (() => void) | undefined
  monotonicMs(): number {
    return this.nowMs
  }
  wallMs(): number {
    return this.nowMs
  }
  setTimer(_delayMs: number, callback: () => void): { cancel(): void } {
    this.callback = callback
    return { cancel: () => (this.callback = undefined) }
  }
  fire(afterMs: number): void {
    this.nowMs += afterMs
    const { callback } = this
    this.callback = undefined
    callback?.()
  }
}
