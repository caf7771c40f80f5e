import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createLogger } from './logger.ts'
import { Telemetry } from './telemetry.ts'

/** A telemetry whose lines are kept. */
function kept(format: 'people' | 'json' = 'people') {
  const lines: string[] = []
  const log = createLogger({ format, write: (line) => lines.push(line) })
  return { lines, telemetry: new Telemetry(log, () => 0) }
}

describe('Telemetry', () => {
  it('has every metric in docs/telemetry.md, and nothing there that is not', async () => {
    const { telemetry } = kept()
    const documented = [...readFileSync('docs/telemetry.md', 'utf8').matchAll(/^\| `([a-z_]+)`/gm)].map(
      ([, name]) => name,
    )
    const metrics = await telemetry.metrics.registry.getMetricsAsJSON()
    assert.deepEqual(metrics.map(({ name }) => name).sort(), documented.sort())
  })

  it('tells what the engine counts as it stands, however often it is asked', async () => {
    const { telemetry } = kept()
    let repeats = 7
    telemetry.observe({ ricci_engine_repeated_messages_total: () => repeats })
    for (repeats of [7, 7, 9]) {
      assert.match(
        await telemetry.metrics.registry.metrics(),
        new RegExp(`^ricci_engine_repeated_messages_total ${repeats}$`, 'm'),
      )
    }
  })

  it('shows people no control character of what others sent', () => {
    const { telemetry, lines } = kept()
    telemetry.log.warn({ producer: 'a\u001b[2J' }, 'a\u009b1mgap')
    assert.match(lines.join(''), /warn: a 1mgap {2}producer=a \[2J\n$/)
  })

  it('makes an alarm a line, a metric and an event', async () => {
    const { telemetry, lines } = kept()
    const events: string[][] = []
    telemetry.alarmsTo((...alarm) => events.push(alarm))
    telemetry.alarm('log-full', 'the disk is full')
    assert.deepEqual(events, [['log-full', 'the disk is full']])
    assert.match(lines.join(''), /error: the disk is full {2}alarm=log-full\n$/)
    const text = await telemetry.metrics.registry.metrics()
    assert.match(text, /^ricci_alarms_total\{name="log-full"\} 1$/m)
  })

  it('says why a page did not arrive', async () => {
    const { telemetry, lines } = kept()
    telemetry.sent('hook', { kind: 'delivered' })
    assert.deepEqual(lines, [])
    telemetry.sent('hook', { kind: 'failed', detail: 'nothing was sent: connect ECONNREFUSED' })
    assert.match(
      lines.join(''),
      /warn: a page could not be delivered, and is tried again: nothing was sent: .* receiver=hook result=failed\n$/,
    )
    assert.match(
      await telemetry.metrics.registry.metrics(),
      /^ricci_page_requests_total\{receiver="hook",result="failed"\} 1$/m,
    )
  })

  it('does not let one peer fill the log, and counts everything', async () => {
    const { telemetry, lines } = kept('json')
    for (let i = 0; i < 1_000; i++) telemetry.malformed('tcp', `peer:${i}`, 'no message')
    assert.equal(lines.length, 20)
    assert.equal((JSON.parse(lines[0]) as { peer: string }).peer, 'peer:0')
    assert.match(await telemetry.metrics.registry.metrics(), /^ricci_intake_malformed_total\{transport="tcp"\} 1000$/m)
  })

  it('reads live values when asked, of whoever runs', async () => {
    const { telemetry } = kept()
    telemetry.observe({ ricci_pages_pending: () => 3 })
    telemetry.tally.tcpEvents = 5
    const text = await telemetry.metrics.registry.metrics()
    assert.match(text, /^ricci_pages_pending 3$/m)
    assert.match(text, /^ricci_intake_events_total\{transport="tcp"\} 5$/m)
  })
})
