// Tests of the rules beside them: `ricci test examples/rules` runs them, and so does every switch to these rules. No time passes here
// but that of `pass` and `outage`.
import { expect, test } from 'ricci/test'

test('what stays critical for three seconds pages, and is over when another state has held as long', (run) => {
  run.send({ host: 'kitchen', service: 'oven', state: 'critical', ttl: 60 })
  run.pass(2)
  expect(run.pages, [])
  run.pass(2)
  expect(run.pages, [{ action: 'trigger', rule: 'critical', to: 'console', host: 'kitchen', service: 'oven' }])
  run.send({ host: 'kitchen', service: 'oven', state: 'ok', ttl: 60 })
  run.pass(4)
  expect(run.pages.at(-1), { action: 'resolve', rule: 'critical' })
  expect(run.query('service = "oven"'), [{ state: 'ok' }])
})

test('a host that falls silent pages; an outage of Ricci itself does not', (run) => {
  run.send({ host: 'web-1', service: 'uptime', metric: 12, ttl: 5 })
  run.outage(3600)
  expect(run.pages, [])
  run.pass(60)
  expect(run.pages, [{ rule: 'host-silent', summary: 'nothing heard from web-1 any more' }])
  run.send({ host: 'web-1', service: 'uptime', metric: 3, ttl: 5 })
  expect(run.pages.at(-1), { action: 'resolve', rule: 'host-silent' })
})

test('news: three at once, the rest together', (run) => {
  for (let i = 1; i <= 5; i++) run.send({ host: 'ci', service: 'deploy', tags: ['news'], description: `shop 1.${i}` })
  expect(run.pages.length, 3)
  run.pass(60)
  expect(run.pages.slice(3), [{ action: 'notify', summary: '2 events: notify console: ci deploy shop 1.4 …' }])
})

test('restarts: one in ten minutes from each host', (run) => {
  for (let i = 0; i < 5; i++) {
    run.send({ host: 'web-1', service: 'restart' }, { host: 'web-2', service: 'restart' })
    run.pass(60)
  }
  expect(
    run.pages.map((page) => page.host),
    ['web-1', 'web-2'],
  )
})
