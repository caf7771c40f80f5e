/** An explanation the whole way: command line, server, the thread that is thrown away, and the log that the server wrote. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, it } from 'node:test'
import { Bench } from '../server/testing.ts'
import { runProgram } from './program.ts'

let bench: Bench
beforeEach(() => {
  bench = new Bench(`import { by, incident, index, rules, stable } from 'ricci'
export default rules(
  index(),
  incident('bad', { bad: 'state = "bad"', to: 'console' }),
  by('host', stable(3600, (e) => e.metric! > 9, incident('high', { bad: 'metric > 9', to: 'console' }))),
)
`)
})
afterEach(() => bench.close())

it('a server explains what it paged and what it did not, also after a restart from a snapshot', async () => {
  const asked = async (http: string | undefined, ...words: string[]): Promise<[number, string]> => {
    let said = ''
    const note = (text: string): void => void (said += text)
    const code = await runProgram(['explain', ...words, '--url', `http://${http}`], {
      ...{ write: note, print: async (text: string) => note(text), complain: note },
      ...{ env: {}, interactive: false, signals: new EventEmitter() },
    })
    return [code, said]
  }
  const first = bench.server()
  const { tcp, http } = await first.start()
  await first.ready()
  await bench.client(tcp).send({ host: 'a', service: 's', state: 'bad', metric: 10, ttl: 900 })
  await bench.said(/bad/)
  const [code, page] = await asked(http, 'bad')
  assert.equal(code, 0, page)
  assert.match(
    page,
    /What led to it\n {2}event {2}a, s, state bad, metric 10[^]*1 {2}incident bad: bad is state = "bad"/,
  )
  assert.match(page, /trigger to console: (delivered|under way)[^]*attempt 1\.1 by [^]*\(record \d+\)/)
  const [, silence] = await asked(http, '--host', 'a', '--rule', 'high')
  assert.match(silence, /The first gate that said no: stable 3600 \(e\) => e\.metric > 9\n {2}the value true came at/)
  assert.match(silence, /Found by replaying partition 0 from the first record of the log/)
  const [failed, why] = await asked(http, 'nobody')
  assert.equal(failed, 1)
  assert.match(why, /no incident goes by "nobody"/)
  await first.stop()

  const second = bench.server()
  const again = await second.start()
  await second.ready()
  // a time from which on nothing is: the snapshot that was stored at the stop lies before it
  const at = new Date(Date.now() + 2_000).toISOString()
  const [, later] = await asked(again.http, '--host', 'a', '--rule', 'high', '--within', '1s', '--at', at, '-o', 'json')
  const answer = JSON.parse(later) as { reason: string; snapshot?: number; lastSeen?: object }
  assert.notEqual(answer.snapshot, undefined, later)
  assert.equal(answer.reason, 'no-event', later)
  assert.notEqual(answer.lastSeen, undefined, later)
})
