// `ricci receivers`: of a server that runs and of a configuration, with receivers that answer what they like.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test'
import { parseConfig } from '../config/config.ts'
import { bodyOf, httpServer } from '../receivers/testing.ts'
import { Bench } from '../server/testing.ts'
import { runProgram } from './program.ts'

let bench: Bench
beforeEach(() => (bench = new Bench()))
afterEach(() => bench.close())

async function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', '']
  const code = await runProgram(words, {
    write: (text) => void (out += text),
    print: async (text) => void (out += text),
    complain: (text) => void (err += text),
    ...{ env: {}, interactive: false, signals: new EventEmitter() },
  })
  return { code, out, err }
}

/** A pager that takes what it is told to, and keeps all that came. */
async function pager(t: TestContext, statusOf: (action: string) => number = () => 202) {
  const came: { action: string; key: string; summary: string }[] = []
  const url = await httpServer(t, async (request, response) => {
    const {
      event_action: action,
      dedup_key: key,
      payload,
    } = JSON.parse(await bodyOf(request)) as Record<string, string>
    came.push({ action, key, summary: (payload as { summary?: string } | undefined)?.summary ?? '' })
    response.writeHead(statusOf(action)).end('a word about it')
  })
  const yaml = `receivers:
  oncall: { type: pagerduty, routingKey: the-key-4711, url: "${url}" }
  desk: { type: console, inDoubt: miss }
fallback: desk
self: oncall
instance: here
`
  const file = join(bench.folder, 'ricci.yaml')
  writeFileSync(file, yaml)
  return { came, yaml, file }
}

const list = `RECEIVER  TYPE       CLASS  IN DOUBT
console   console    C      repeat
oncall    pagerduty  A      repeat, by its key  self
desk      console    C      miss                fallback
`

async function serve(yaml: string): Promise<string> {
  const { receivers, fallback, self } = parseConfig(yaml, 'test.yaml')
  const server = bench.server({ config: bench.config({ receivers, fallback, self }) })
  const { http } = await server.start()
  await server.ready()
  return `http://${http}`
}

describe('ricci receivers', () => {
  it('list: of a server and of a configuration, the same', async (t) => {
    const { yaml, file } = await pager(t)
    const url = await serve(yaml)
    for (const from of [
      ['--url', url],
      ['--config', file],
    ]) {
      assert.deepEqual(await run('receivers', 'list', ...from), { code: 0, out: list, err: '' })
      const { out } = await run('receivers', 'list', '-o', 'json', ...from)
      assert.deepEqual((JSON.parse(out) as { receivers: unknown[] }).receivers[1], {
        name: 'oncall',
        type: 'pagerduty',
        class: 'A',
        sendOvertaken: false,
        fallback: false,
        self: true,
      })
      assert.doesNotMatch(out, /4711|127\.0\.0\.1/, 'neither secrets nor addresses')
    }
  })

  it('test: marked pages go out and are taken back, by a server and without one', async (t) => {
    const { came, yaml, file } = await pager(t)
    const url = await serve(yaml)
    for (const from of [
      ['--url', url],
      ['--config', file],
    ]) {
      const { code, out, err } = await run('receivers', 'test', 'oncall', ...from)
      assert.deepEqual([code, err], [0, ''])
      assert.equal(
        out,
        'SENT         RESULT     ANSWER\ntrigger      delivered  HTTP 202\nacknowledge  delivered  HTTP 202\nresolve      delivered  HTTP 202\n',
      )
      const [trigger, acknowledge, resolve] = came.splice(0)
      assert.match(trigger.summary, /^TEST of receiver oncall, .*nothing is wrong/)
      assert.deepEqual([acknowledge.action, resolve.action], ['acknowledge', 'resolve'])
      assert.deepEqual([acknowledge.key, resolve.key], [trigger.key, trigger.key])
    }
    await run('receivers', 'test', 'desk', '--url', url)
    assert.match(bench.lines.at(-1)!, /^NOTICE {4}critical {2}TEST of receiver desk/)
    assert.match((await run('receivers', 'test', 'console', '--config', file)).out, /^NOTICE .*\nSENT/)
  })

  it('test: two that ask at once hear of one', async (t) => {
    const { came, yaml } = await pager(t)
    const url = await serve(yaml)
    const both = await Promise.all([1, 2].map(() => run('receivers', 'test', 'oncall', '--url', url)))
    assert.deepEqual(
      both.map(({ code }) => code),
      [0, 0],
    )
    assert.equal(came.length, 3)
  })

  it('test: what a receiver refuses or does not say fails, with what to do', async (t) => {
    const refusing = await pager(t, () => 400)
    const { code, out, err } = await run('receivers', 'test', 'oncall', '--config', refusing.file)
    assert.equal(code, 1)
    assert.match(out, /^trigger {2}refused {2}HTTP 400: a word about it$/m)
    assert.match(err, /^ricci: oncall refuses pages \(HTTP 400: a word about it\): mend its settings/)
    assert.equal(refusing.came.length, 1)
    const doubtful = await pager(t, (action) => (action === 'trigger' ? 500 : 202))
    const unknown = await run('receivers', 'test', 'oncall', '-o', 'json', '--config', doubtful.file)
    assert.equal(unknown.code, 1)
    const { steps } = JSON.parse(unknown.out) as { steps: { action: string; result: { kind: string } }[] }
    assert.deepEqual(
      steps.map(({ action, result }) => [action, result.kind]),
      [
        ['trigger', 'unknown'],
        ['acknowledge', 'delivered'],
        ['resolve', 'delivered'],
      ],
      'what may be open is taken back',
    )
    assert.match(unknown.err, /oncall may have been told or not/)
  })

  it('what is asked in a wrong way is told what there is', async (t) => {
    const { yaml, file } = await pager(t)
    const url = await serve(yaml)
    for (const from of [
      ['--url', url],
      ['--config', file],
    ]) {
      const { code, err } = await run('receivers', 'test', 'oncal', ...from)
      assert.deepEqual(
        [code, err],
        [1, 'ricci: the configuration has no receiver "oncal"; did you mean "oncall"? It has console, oncall, desk\n'],
      )
    }
    const missing = await run('receivers', 'test')
    assert.deepEqual([missing.code, missing.out], [2, ''])
    assert.match(missing.err, /missing required argument 'name'/)
    const help = await run('receivers', 'test', '--help')
    assert.deepEqual([help.code, help.err], [0, ''])
    assert.match(help.out, /Example:\n {2}ricci receivers test oncall/)
    assert.equal((await run('receivers', 'list', '--config', '/nowhere.yaml')).code, 78)
  })
})
