// `ricci test examples/alerts` runs these, and so does every switch to these rules.
import { expect, test } from 'ricci/test'

const bounds: [service: string, well: number, bad: number, rule: string][] = [
  ['ricci engine lag', 2, 9, 'ricci-lags'],
  ['ricci pages oldest', 10, 300, 'ricci-pages-wait'],
  ['ricci intake dropped rate', 0, 1, 'ricci-drops'],
  ['ricci rules error rate', 0, 1, 'ricci-rules-throw'],
  ['ricci engine refused rate', 0, 1, 'ricci-no-room'],
  ['ricci process event-loop delay', 0.1, 2, 'ricci-process-late'],
]

for (const [service, well, bad, rule] of bounds) {
  test(`${service}: once is nothing, for long pages, and is over`, (run) => {
    const say = (metric: number, times: number) => {
      for (let i = 0; i < times; i++) {
        run.send({ host: 'ricci-a', service, metric, ttl: 20, tags: ['riemann', 'ricci'] })
        run.pass(10)
      }
    }
    say(well, 10)
    say(bad, 1)
    say(well, 10)
    expect(run.pages, [])
    say(bad, 10)
    expect(run.pages, [{ action: 'trigger', rule, host: 'ricci-a' }])
    say(well, 10)
    expect(run.pages.at(-1), { action: 'resolve', rule })
  })
}

test('an alarm pages, and is over when it has not come again for an hour', (run) => {
  const alarm = {
    host: 'ricci-a',
    service: 'ricci log-full',
    state: 'critical',
    description: 'no room',
    tags: ['ricci'],
  }
  run.send({ ...alarm, ttl: 3600 })
  expect(run.pages, [{ rule: 'ricci-alarm', summary: 'ricci-a: no room' }])
  run.pass(3700)
  expect(run.pages.at(-1), { action: 'resolve', rule: 'ricci-alarm' })
})

test('an instance that says nothing any more pages', (run) => {
  const size = { host: 'ricci-a', service: 'riemann index size', metric: 3, ttl: 20, tags: ['riemann', 'ricci'] }
  run.send(size)
  run.pass(60)
  expect(run.pages, [{ rule: 'ricci-silent', host: 'ricci-a' }])
  run.send(size)
  expect(run.pages.at(-1), { action: 'resolve', rule: 'ricci-silent' })
})
