import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { TestClock } from '../../receivers/testing.ts'
import { nodeClock } from '../../server/node-clock.ts'
import { commandSource, type CommandOptions } from './command-source.ts'
import { Slots } from './slots.ts'

const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' }

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-command-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Resolves with a file's text once it has a whole line. */
async function written(folder: string, name: string): Promise<string> {
  const file = join(folder, name)
  const there = () => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n')
  for (const watching = watch(folder); ;) {
    if (there()) {
      watching.close()
      return readFileSync(file, 'utf8').trim()
    }
    await new Promise((resolve) => watching.once('change', resolve))
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    // a zombie, which nobody here waits for, runs no more
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

function running(t: TestContext, command: string, options: Partial<CommandOptions> = {}, clock = new TestClock()) {
  const problems: string[] = []
  const all = { name: 'check', command, intervalMs: 60_000, timeoutMs: 10_000, env, slots: new Slots(4), ...options }
  const source = commandSource(all, { clock, onProblem: (text) => problems.push(text) })
  t.after(() => source.stop())
  return { source, clock, problems }
}

describe('a command', () => {
  const endings: [command: string, state: string, description: string][] = [
    ['echo fine', 'ok', 'fine'],
    ['echo "so so | a=1"; exit 1', 'warning', 'so so'],
    ['echo bad; exit 2', 'critical', 'bad'],
    ['echo who knows; exit 3', 'unknown', 'who knows'],
    ['echo "no such host" >&2; exit 2', 'critical', 'no such host'],
    ['echo half; echo "Traceback: x" >&2; exit 4', 'unknown', 'exit code 4: Traceback: x'],
    ['echo half; exit 99', 'unknown', 'exit code 99: half'],
    ['nowhere-to-be-found', 'unknown', 'exit code 127: /bin/sh: 1: nowhere-to-be-found: not found'],
    ['kill -KILL $$', 'unknown', 'a signal ended it (SIGKILL)'],
    ['exit 0', 'ok', ''],
  ]
  for (const [command, state, description] of endings)
    test(`${command}: ${state}`, async (t) => {
      const [told] = await running(t, command).source.once()
      assert.deepEqual([told.service, told.state], ['check', state])
      // shells word it differently
      if (command.startsWith('nowhere'))
        assert.match(told.description!, /^exit code 127: .*nowhere-to-be-found.*not found$/)
      else assert.equal(told.description, description)
      assert.equal(told.ttl, 180)
    })

  test('its figures are services of their own, its events are of this machine', async (t) => {
    const command = [
      `echo "busy | 'a b'=5s;4;9;0;10 free=3"`,
      `echo '{"service":"queue","metric":7,"host":"other","cluster":"x","ttl":5,"tags":["q"]}'`,
    ].join(';')
    const { source, clock } = running(t, command)
    assert.deepEqual((await source.once()).slice(1), [
      {
        service: 'check a b',
        metric: 5,
        metricType: 'double',
        ttl: 180,
        state: 'warning',
        attributes: { unit: 's', warning: '4', critical: '9', least: '0', most: '10' },
      },
      { service: 'check free', metric: 3, metricType: 'double', ttl: 180 },
      {
        service: 'queue',
        metric: 7,
        ttl: 5,
        tags: ['q'],
        time: clock.wallMs() / 1000,
        attributes: { exported_host: 'other', exported_cluster: 'x' },
      },
    ])
  })

  test('a number is the metric', async (t) => {
    const [told] = await running(t, 'echo 42.5').source.once()
    assert.deepEqual([told.metric, told.metricType, told.state], [42.5, 'double', 'ok'])
  })

  test('it is given no input, the root folder, and of the environment only what it needs', async (t) => {
    process.env.RICCI_TEST_SECRET = 'hidden'
    t.after(() => delete process.env.RICCI_TEST_SECRET)
    const command = 'cat; pwd; env | cut -d= -f1 | grep -v -e PWD -e SHLVL -e _ | sort | tr "\\n" " " >&2; exit 4'
    const [told] = await running(t, command).source.once()
    assert.equal(told.description, 'exit code 4: LANG PATH')
    assert.equal((await running(t, 'cat; pwd').source.once())[0].description, '/')
  })

  test('an event beyond the limits is left out, and named once', async (t) => {
    const command = `printf '{"service":"%s"}\\n{"service":"good"}\\n' $(head -c 9000 /dev/zero | tr '\\0' x)`
    const { source, problems } = running(t, command)
    for (let time = 1; time <= 2; time++)
      assert.deepEqual(
        (await source.once()).map(({ service }) => service),
        ['check', 'good'],
      )
    assert.equal(problems.length, 1)
    assert.match(problems[0], /the command check printed events beyond the limits/)
  })
})

describe('a command that misbehaves', () => {
  test('it hangs: told to end, then killed, with all that it started', async (t) => {
    const folder = folderOf(t)
    // neither it nor its child minds being told
    const command = `trap '' TERM; sh -c "trap '' TERM; echo \\$\\$ > ${folder}/child; while :; do sleep 1; done" & echo $$ > ${folder}/pid; while :; do sleep 1; done`
    const { source, clock } = running(t, command)
    const told = source.once()
    const pids = (await Promise.all([written(folder, 'pid'), written(folder, 'child')])).map(Number)
    clock.advance(10_000)
    assert.ok(pids.every(isAlive), 'they have a moment to end by themselves')
    clock.advance(2_000)
    assert.deepEqual(await told, [
      { service: 'check', state: 'critical', description: 'no end after 10 s: it was killed', ttl: 180 },
    ])
    assert.deepEqual(pids.map(isAlive), [false, false])
    assert.equal(clock.pendingTimers, 0)
  })

  test('one that ends when it is told to need not be killed', async (t) => {
    const folder = folderOf(t)
    const command = `trap 'echo told > ${folder}/end; exit 0' TERM; echo > ${folder}/pid; while :; do sleep 0.05; done`
    const { source, clock } = running(t, command)
    const told = source.once()
    await written(folder, 'pid')
    clock.advance(10_000)
    assert.equal((await told)[0].state, 'critical')
    assert.equal(await written(folder, 'end'), 'told')
  })

  test('it writes without end: killed at the limit, and what it wrote is not used', async (t) => {
    const [told, ...more] = await running(t, 'yes "a | b=1"').source.once()
    assert.deepEqual([told.state, told.description, more], ['unknown', 'it wrote without end, and was killed', []])
  })

  test('what it leaves behind with its output open is ended, too', async (t) => {
    const folder = folderOf(t)
    const { source, clock } = running(t, `sh -c 'echo $$ > ${folder}/pid; exec sleep 1000' & echo done`)
    const told = source.once()
    const pid = Number(await written(folder, 'pid'))
    // when the shell has ended only this timer and that of the time limit are left
    while (clock.pendingTimers < 2) await new Promise((resolve) => setImmediate(resolve))
    clock.advance(1_000)
    assert.equal((await told)[0].description, 'done')
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve))
  })

  test('the agent ends: so does it, at once, and nothing is told', async (t) => {
    const folder = folderOf(t)
    const { source, clock } = running(t, `echo $$ > ${folder}/pid; exec sleep 1000`)
    const emitted: unknown[] = []
    source.start((events) => emitted.push(events))
    clock.advance(0)
    const pid = Number(await written(folder, 'pid'))
    await source.stop()
    assert.equal(isAlive(pid), false)
    assert.deepEqual(emitted, [])
    assert.equal(clock.pendingTimers, 0)
  })
})

describe('several commands', () => {
  test('so many at once, the others in their order', async (t) => {
    const folder = folderOf(t)
    const slots = new Slots(2)
    const sources = [1, 2, 3, 4].map(
      (n) =>
        running(
          t,
          `echo ${n} >> ${folder}/began; while [ ! -e ${folder}/go${n} ]; do sleep 0.02; done; echo ${n}`,
          { slots },
          new TestClock(),
        ).source,
    )
    const order: unknown[] = []
    const all = sources.map((source) => source.once().then(([{ metric }]) => order.push(metric)))
    const began = () =>
      existsSync(`${folder}/began`) ? readFileSync(`${folder}/began`, 'utf8').trim().split('\n') : []
    const until = async (count: number) => {
      while (began().length < count) await new Promise((resolve) => setImmediate(resolve))
    }
    await until(2)
    assert.deepEqual(began().sort(), ['1', '2'])
    writeFileSync(`${folder}/go2`, '')
    await until(3)
    assert.deepEqual(began()[2], '3')
    for (const n of [1, 3, 4]) writeFileSync(`${folder}/go${n}`, '')
    await Promise.all(all)
    assert.equal(order[0], 2)
    assert.equal(began()[3], '4')
  })

  test('one is never run beside itself', async (t) => {
    const folder = folderOf(t)
    const { source, clock } = running(t, `echo x >> ${folder}/runs; while [ ! -e ${folder}/go ]; do sleep 0.02; done`, {
      intervalMs: 10_000,
      timeoutMs: 300_000,
    })
    const told = new Promise<void>((resolve) => source.start(() => resolve()))
    clock.advance(0)
    await written(folder, 'runs')
    clock.advance(25_000)
    writeFileSync(`${folder}/go`, '')
    await told
    assert.equal(readFileSync(`${folder}/runs`, 'utf8'), 'x\n')
  })
})

test('in real time: a command that hangs is over soon after its time limit', async (t) => {
  const { source } = running(t, 'sleep 1000', { timeoutMs: 200 }, nodeClock as unknown as TestClock)
  const beganMs = nodeClock.monotonicMs()
  assert.equal((await source.once())[0].state, 'critical')
  assert.ok(nodeClock.monotonicMs() - beganMs >= 200)
})
