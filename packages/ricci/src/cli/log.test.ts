import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import type { RecordLine } from '../server/log-lines.ts'
import { Bench } from '../server/testing.ts'
import { runProgram } from './program.ts'

test('the log of a server is told from where one wants, its kinds alone, and as it grows', async (t) => {
  const bench = new Bench()
  t.after(() => bench.close())
  const server = bench.server()
  const { tcp, http } = await server.start()
  await server.ready()
  const client = bench.client(tcp)
  for (const host of ['a', 'b', 'c']) await client.send({ host, service: 's' })
  const signals = new EventEmitter()
  let out = ''
  let err = ''
  let told = (): void => undefined
  const run = (...words: string[]): Promise<number> => {
    out = err = ''
    return runProgram(['log', 'tail', ...words, '--url', `http://${http}`], {
      write: (text) => {
        out += text
        told()
      },
      ...{ print: async () => undefined, complain: (text) => void (err += text), env: {}, interactive: false, signals },
    })
  }
  const lines = (): RecordLine[] =>
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as RecordLine)

  assert.equal(await run('0', '--from', '0', '--no-follow', '-o', 'json'), 0, err)
  const all = lines()
  assert.deepEqual(
    all.map(({ offset }) => offset),
    all.map((_, n) => n),
  )
  const hosts = all.flatMap((line) => (line.kind === 'events' ? line.hosts.first : []))
  assert.deepEqual(hosts, ['a', 'b', 'c'])
  assert.equal(await run('0', '-n', '2', '--kind', 'rules,claim', '--no-follow'), 0, err)
  assert.match(out, /^ +0 {16}rules {7}[0-9a-f]{12}, .*\n +\d+ +claim {7}epoch 1 by here/)

  assert.equal(await run('7', '--no-follow'), 1)
  assert.match(err, /^ricci: there is no partition 7; the log has 1, from 0 on\n$/)

  const following = run('0', '-n', '0', '--kind', 'events')
  const arrived = new Promise<void>((resolve) => (told = resolve))
  let seen = false
  void arrived.then(() => (seen = true))
  // the tail is in place once something arrives
  for (let n = 0; !seen; n++) await client.send({ host: 'later', service: `s${n}` })
  assert.match(out, /events {6}1 of later: s\d+/)
  signals.emit('SIGINT')
  assert.equal(await following, 0)
})
