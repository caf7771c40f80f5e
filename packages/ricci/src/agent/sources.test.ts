import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Event } from '@ricci/client'
import { TestClock } from '../receivers/testing.ts'
import { attributeName, isFitting, periodic, phaseOf, ttlSeconds } from './sources.ts'

/** Lets everything that needs no timer finish. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

function asked(answers: (() => Promise<readonly Event[]>)[], phase = 0) {
  const clock = new TestClock()
  const emitted: (readonly Event[])[] = []
  const problems: string[] = []
  const times: number[] = []
  const ask = (): Promise<readonly Event[]> => {
    times.push(clock.monotonicMs())
    return (answers.shift() ?? (async () => []))()
  }
  const source = periodic({ name: 'it', intervalMs: 1_000, ask }, phase, {
    clock,
    onProblem: (text) => problems.push(text),
  })
  return { clock, emitted, problems, times, source, start: () => source.start((events) => emitted.push(events)) }
}

const event = (service: string): Event => ({ service, ttl: 10 })

test('it is asked on its grid; late and missed times move no others', async () => {
  const { clock, times, source, start } = asked([], 0.25)
  start()
  for (const ms of [249, 1, 1_000, 1_500, 500, 3_300]) {
    clock.advance(ms)
    await turns()
  }
  assert.deepEqual(times, [250, 1_250, 2_750, 3_250, 6_550])
  clock.advance(700)
  await turns()
  assert.equal(times.at(-1), 7_250)
  await source.stop()
  assert.equal(clock.pendingTimers, 0)
})

test('what fails is told, and asked again; nothing is no news', async () => {
  const { clock, emitted, problems, source, start } = asked([
    () => Promise.reject(new Error('a defect')),
    async () => [],
    async () => [event('a')],
  ])
  start()
  for (const ms of [0, 1_000, 1_000]) {
    clock.advance(ms)
    await turns()
  }
  assert.deepEqual(problems, ['it failed: a defect'])
  assert.deepEqual(emitted, [[event('a')]])
  await source.stop()
})

test('many events come in parts that a message can hold', async () => {
  const many = Array.from({ length: 4_500 }, (_, i) => event(`s${i}`))
  const { clock, emitted, source, start } = asked([async () => many])
  start()
  clock.advance(0)
  await turns()
  assert.deepEqual(
    emitted.map(({ length }) => length),
    [2_000, 2_000, 500],
  )
  assert.deepEqual(emitted.flat(), many)
  await source.stop()
})

test('its end waits for the answer, and tells it to nobody; twice is as once', async () => {
  let answer = (_events: readonly Event[]): void => undefined
  const { clock, emitted, source, start } = asked([() => new Promise((resolve) => (answer = resolve))])
  start()
  clock.advance(0)
  let isOver = false
  const ending = Promise.all([source.stop(), source.stop()]).then(() => (isOver = true))
  await turns()
  assert.equal(isOver, false)
  answer([event('late')])
  await ending
  assert.deepEqual(emitted, [])
})

test('phases, lifetimes, names of attributes, limits', () => {
  assert.deepEqual([phaseOf(0, 4), phaseOf(3, 4), phaseOf(0, 0)], [0, 0.75, 0])
  assert.deepEqual([ttlSeconds(1_000), ttlSeconds(15_000)], [10, 45])
  assert.deepEqual(['host', 'cluster', 'code'].map(attributeName), ['exported_host', 'exported_cluster', 'code'])
  assert.equal(isFitting(event('x'.repeat(8_192))), true)
  assert.equal(isFitting(event('x'.repeat(8_193))), false)
  assert.equal(isFitting({ service: 'a', description: 'x'.repeat(70_000) }), false)
})
