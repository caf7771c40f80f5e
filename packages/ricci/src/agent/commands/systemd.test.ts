import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import type { Event } from '@ricci/client'
import { TestClock } from '../../receivers/testing.ts'
import { clockSource } from './clock-source.ts'
import { unitSource } from './units.ts'

/** An environment whose programs are these scripts, and none besides but what a shell needs. */
function programs(t: TestContext, scripts: Readonly<Record<string, string>>): { PATH: string; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-systemd-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return { PATH: folder, folder }
}

const short = (events: readonly Event[]) =>
  events.map(({ service, metric, state, description }) => [service, metric, state, description])

describe('units of systemd', () => {
  /** As systemd 252 answers. */
  const systemctl = `
    printf '%s\\n' "$*" >> "$PATH/asked"
    case "$1" in
      list-units) printf '%s\\n' 'cron.service loaded failed failed Regular background program' 'a.mount loaded failed failed x' ;;
      show) printf '%s\\n' NRestarts=3 Id=nginx.service LoadState=loaded ActiveState=active SubState=running '' \
        NRestarts=0 Id=db.service LoadState=loaded ActiveState=failed SubState=failed '' \
        Id=-.mount LoadState=loaded ActiveState=activating SubState=mounting '' \
        NRestarts=0 Id=nope.service LoadState=not-found ActiveState=inactive SubState=dead ;;
    esac`

  test('failed ones, and those that are named', async (t) => {
    const { folder, PATH } = programs(t, { systemctl })
    const surroundings = { clock: new TestClock(), onProblem: assert.fail }
    const source = unitSource(['nginx.service', 'db.service', '-.mount', 'nope.service'], { PATH }, surroundings)
    const events = await source.once()
    assert.deepEqual(short(events), [
      ['systemd.failed', 2, 'warning', 'failed: cron.service, a.mount'],
      ['unit nginx.service', 1, 'ok', 'active (running)'],
      ['unit nginx.service restarts', 3, undefined, undefined],
      ['unit db.service', 0, 'critical', 'failed (failed)'],
      ['unit db.service restarts', 0, undefined, undefined],
      ['unit -.mount', 0, 'warning', 'activating (mounting)'],
      ['unit nope.service', 0, 'critical', 'there is no such unit (not-found)'],
      ['unit nope.service restarts', 0, undefined, undefined],
    ])
    assert.ok(events.every(({ ttl }) => ttl === 90))
    assert.match(
      readFileSync(join(folder, 'asked'), 'utf8'),
      /^show --property=.* -- nginx.service db.service -.mount nope.service$/m,
    )
  })

  test('where there is no systemd: nothing, asked once; said only where units were named', async (t) => {
    const away: Record<string, string>[] = [
      {},
      {
        systemctl: `echo "System has not been booted with systemd as init system (PID 1). Can't operate." >&2; echo x >> "$PATH/asked"; exit 1`,
      },
    ]
    for (const scripts of away) {
      const { folder, PATH } = programs(t, scripts)
      const problems: string[] = []
      const surroundings = { clock: new TestClock(), onProblem: (text: string) => problems.push(text) }
      const silent = unitSource([], { PATH }, surroundings)
      assert.deepEqual([await silent.once(), await silent.once(), problems], [[], [], []])
      if ('systemctl' in scripts) assert.equal(readFileSync(join(folder, 'asked'), 'utf8'), 'x\n')
      const told = unitSource(['a.service'], { PATH }, surroundings)
      assert.deepEqual([await told.once(), await told.once()], [[], []])
      assert.deepEqual(problems, ['units of systemd cannot be watched: no systemd runs here'])
    }
  })

  test('systemctl that fails is said once, and again after it answered', async (t) => {
    const { folder, PATH } = programs(t, {
      systemctl: `[ -e "$PATH/well" ] || { echo "Connection timed out" >&2; exit 1; }`,
    })
    const problems: string[] = []
    const source = unitSource([], { PATH }, { clock: new TestClock(), onProblem: (text) => problems.push(text) })
    await source.once()
    await source.once()
    writeFileSync(join(folder, 'well'), '')
    assert.deepEqual(short(await source.once()), [['systemd.failed', 0, 'ok', 'no unit failed']])
    rmSync(join(folder, 'well'))
    await source.once()
    const said = 'systemctl does not answer: Connection timed out'
    assert.deepEqual(problems, [said, said])
  })
})

describe('the clock', () => {
  const clock = new TestClock()
  const ask = async (t: TestContext, scripts: Readonly<Record<string, string>>, lastMs?: number) => {
    const { PATH } = programs(t, scripts)
    const source = clockSource({ PATH }, { clock, onProblem: assert.fail }, async () => lastMs)
    return short(await source.once()).map(([service, metric, state, description]) => [
      ...[service, Number(Number(metric).toFixed(6)), state, description],
    ])
  }
  const chronyc = (offset: string, leap: string) =>
    `[ "$*" = '-c -n tracking' ] && echo 'C0A80001,192.168.0.1,3,1796033735.124207436,${offset},-0.000001632,0.000002360,331.898,0.004,0.154,0.020000000,0.003000000,64.2,${leap}'`

  test('chrony: a positive offset of its own means that the clock is slow', async (t) => {
    assert.deepEqual(await ask(t, { chronyc: chronyc('0.000500000', 'Normal') }), [
      ['clock', 1, 'ok', 'chrony: by 192.168.0.1, stratum 3'],
      ['clock.offset', -0.0005, undefined, undefined],
      ['clock.error', 0.0135, undefined, undefined],
    ])
    assert.deepEqual(await ask(t, { chronyc: chronyc('0', 'Not synchronised') }, clock.wallMs()), [
      ['clock', 0, 'warning', 'chrony: not synchronised'],
    ])
  })

  test('without chrony, or where its daemon does not run: timesyncd’s file, then timedated', async (t) => {
    const dead = { chronyc: 'echo "506 Cannot talk to daemon"; exit 1' }
    assert.deepEqual(await ask(t, dead, clock.wallMs() - 60_000), [
      ['clock', 1, 'ok', 'systemd-timesyncd: heard of the time 60 s ago'],
    ])
    assert.deepEqual((await ask(t, {}, clock.wallMs() - 2 * 2_048_000))[0].slice(0, 3), ['clock', 0, 'warning'])
    assert.deepEqual(await ask(t, { timedatectl: 'echo yes' }), [['clock', 1, 'ok', 'the kernel: synchronised']])
    assert.deepEqual(await ask(t, { timedatectl: 'echo no' }), [
      ['clock', 0, 'warning', 'the kernel: not synchronised'],
    ])
  })

  test('where nobody knows: nothing', async (t) => {
    assert.deepEqual(await ask(t, {}), [])
    assert.deepEqual(await ask(t, { timedatectl: 'exit 1', chronyc: 'echo 1,2' }), [])
  })
})
