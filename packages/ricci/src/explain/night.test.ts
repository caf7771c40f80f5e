/** The night of docs/guides/night.md: each block there is what the command line says. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { by, incident, index, rules, stable, where } from '@ricci/engine'
import { EngineBench } from '@ricci/testkit'
import { ScriptedLog } from './testing.ts'

const file = 'docs/guides/night.md'

const description = (to: string) =>
  rules(
    index(),
    where(
      'service = "cpu"',
      by(
        'host',
        stable(30, (e) => e.metric! > 0.9, incident('cpu-high', { bad: 'metric > 0.9', to })),
      ),
    ),
  )

/** Values ten seconds apart. */
function measured(log: ScriptedLog, host: string, ...values: readonly number[]): void {
  for (const metric of values) {
    log.send({ host, service: 'cpu', metric, ttl: 60 })
    log.pass(10)
  }
}

/** An instance sends the page at once; the receiver fails first. Somebody takes it on, and it ends. */
function aPageThatCame(): ScriptedLog {
  const log = new ScriptedLog(new EngineBench(description('oncall')))
  log.pass(120)
  measured(log, 'web-7', 0.42, 0.97, 0.98, 0.95)
  log.attempt('ricci-1', { result: 'failed', detail: '503 Service Unavailable' })
  log.pass(5)
  log.attempt('ricci-1', { result: 'delivered', detail: '202 Event processed' })
  log.pass(90)
  const [{ rule, key }] = log.bench.engine.incidents().open
  log.bench.append({
    ...{ kind: 'command', id: 'one', name: 'acknowledge', who: 'mara', from: '10.0.0.9' },
    ...{ why: 'looking at the deployment', arguments: { rule, key } },
  })
  measured(log, 'web-7', 0.96, 0.31, 0.3, 0.29, 0.3)
  log.attempt('ricci-1', { result: 'delivered', detail: '202 Event processed' })
  return log
}

function aPageThatDidNot(): ScriptedLog {
  const log = new ScriptedLog(new EngineBench(description('oncall')))
  log.pass(110)
  measured(log, 'web-7', 0.42, 0.95, 0.97, 0.4, 0.38)
  return log
}

/** The instance that sent died before the answer stood in the log. */
function aPageThatCameTwice(): ScriptedLog {
  const log = new ScriptedLog(new EngineBench(description('sms')))
  log.pass(120)
  measured(log, 'web-7', 0.42, 0.97, 0.98, 0.95)
  log.attempt('ricci-1')
  log.atMs += 3_000
  log.takeOver('ricci-2')
  log.pass(12)
  log.attempt('ricci-2', { result: 'delivered', detail: '200 OK' }, { repeats: '2.1' })
  return log
}

const nights = [aPageThatCame, aPageThatDidNot, aPageThatCameTwice]

test('docs/guides/night.md shows what the commands say', async () => {
  const doc = readFileSync(file, 'utf8')
  const block = /```console\n\$ ricci explain (.*)\n([^]*?)```/g
  const shown = [...doc.matchAll(block)]
  assert.equal(shown.length, nights.length)
  const said: string[] = []
  for (const [i, [, words]] of shown.entries()) said.push(await nights[i]().ask(...words.split(' ')))
  if (process.env.RICCI_UPDATE_DOCS === '1') {
    let i = 0
    const fresh = doc.replace(
      block,
      (_, words: string) => `\`\`\`console\n$ ricci explain ${words}\n${said[i++]}\`\`\``,
    )
    writeFileSync(file, fresh)
    return
  }
  shown.forEach(([, , text], i) =>
    assert.equal(text, said[i], `${file} is behind: RICCI_UPDATE_DOCS=1 npm test -- explain/night`),
  )
})
