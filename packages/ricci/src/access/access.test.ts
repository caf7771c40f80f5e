import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { defaultConfig } from '../config/config.ts'
import { createLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { Access, type AccessPeer } from './access.ts'
import { Audit } from './audit.ts'

const folders: string[] = []

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-access-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  folders.push(folder)
  return folder
}

/** Instances that ask each other, but those that are away. */
function clusterOf(context: TestContext, names: readonly string[]) {
  const clock = new VirtualClock()
  const away = new Set<string>()
  /** Those that coordination does not name any more. */
  const gone = new Set<string>()
  const logged: string[] = []
  const log = createLogger({ format: 'people', write: (line) => void logged.push(line) })
  const all = new Map<string, Access>()
  let drawn = 0
  for (const instance of names) {
    const folder = folderOf(context)
    const config = { ...defaultConfig(folder), dataFolder: folder, instance }
    const telemetry = new Telemetry(log, () => 0)
    const access = new Access({ config, clock, telemetry, randomBytes: (n) => new Uint8Array(n).fill(++drawn) })
    context.after(() => access.close())
    all.set(instance, access)
  }
  const peerOf = (name: string, access: Access): AccessPeer => {
    const reached = (): Access => {
      if (away.has(name)) throw new Error('away')
      return access
    }
    return {
      tokens: async (known) => reached().heard(JSON.parse(JSON.stringify(known)) as unknown[]),
      audit: async (limit) => reached().ownAudit(limit),
    }
  }
  for (const [name, access] of all) {
    const others = [...all].filter(([other]) => other !== name)
    const there = () => others.filter(([other]) => !gone.has(other))
    access.join(() => new Map(there().map(([other, one]) => [other, peerOf(other, one)])))
  }
  return { clock, away, gone, logged, of: (name: string): Access => all.get(name)! }
}

describe('access over a cluster', () => {
  it('a token holds, and is refused, at once everywhere; who is away learns of it when it is back', async (t) => {
    const { clock, away, logged, of } = clusterOf(t, ['a', 'b', 'c'])
    const { token, unreached } = await of('a').create({ name: 'ci', role: 'operator' }, 'ana')
    assert.deepEqual(unreached, [])
    for (const name of ['a', 'b', 'c']) assert.ok('name' in of(name).find(token), name)
    away.add('c')
    assert.deepEqual(await of('b').revoke('ci', 'bert', 'leaked'), { unreached: ['c'] })
    for (const name of ['a', 'b']) assert.deepEqual(of(name).find(token), { wrong: 'revoked' }, name)
    assert.ok('name' in of('c').find(token))
    await clock.advance(10_000)
    await new Promise(setImmediate)
    assert.match(logged.join(''), /could not be exchanged with c/)
    away.delete('c')
    await clock.advance(10_000)
    while ('name' in of('c').find(token)) await new Promise(setImmediate)
  })

  it('who is gone is named, and hears of it as soon as it is there', async (t) => {
    const { clock, gone, of } = clusterOf(t, ['a', 'b', 'c'])
    const { token } = await of('a').create({ name: 'ci', role: 'operator' }, 'ana')
    gone.add('c')
    assert.deepEqual(await of('a').revoke('ci', 'bert', 'leaked'), { unreached: ['c'] })
    assert.deepEqual((await of('b').audit(1)).unreached, [])
    gone.delete('c')
    of('a').meet()
    await clock.advance(1)
    while ('name' in of('c').find(token)) await new Promise(setImmediate)
  })

  it('the audit is that of all, and says who could not be asked', async (t) => {
    const { away, of, clock } = clusterOf(t, ['a', 'b'])
    const entry = { who: 'ana', from: '10.0.0.1', what: 'POST /x', status: 200 }
    await of('a').note(entry)
    await clock.advance(5)
    await of('b').note({ ...entry, who: 'bert', arguments: { instance: 'a' }, why: 'because' })
    const { entries, unreached } = await of('a').audit(10)
    assert.deepEqual(unreached, [])
    assert.deepEqual(
      entries.map(({ instance, who, why }) => [instance, who, why]),
      [
        ['b', 'bert', 'because'],
        ['a', 'ana', undefined],
      ],
    )
    assert.equal((await of('a').audit(1)).entries.length, 1)
    away.add('b')
    assert.deepEqual((await of('a').audit(10)).unreached, ['b'])
  })

  it('acts though the audit cannot be written: its entry stands in the log', async (t) => {
    const { logged, of } = clusterOf(t, ['a'])
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
    await of('a').note({ who: 'ana', from: '10.0.0.1', what: 'POST /x', status: 200 })
    assert.match(logged.join(''), /could not be written/)
    assert.match(logged.join(''), /ana/)
  })
})

describe('the audit of an instance', () => {
  const entry = (who: string) => ({ atMs: 1, instance: 'a', who, from: '::1', what: 'POST /x', status: 200 })

  it('is bounded, and the oldest goes', async (t) => {
    const folder = folderOf(t)
    // nearly full files, as four months of work leave them
    for (const [name, who] of [
      ['audit.jsonl', 'newest'],
      ['audit.1.jsonl', 'older'],
      ['audit.2.jsonl', 'older still'],
      ['audit.3.jsonl', 'oldest'],
    ]) {
      const line = JSON.stringify({ ...entry(who), why: 'x'.repeat((4 << 20) - 200) })
      writeFileSync(join(folder, name), `${line}\n`)
    }
    const audit = new Audit(folder)
    await Promise.all([audit.write(entry('one')), audit.write({ ...entry('two'), why: 'y'.repeat(200) })])
    await audit.close()
    const names = readdirSync(folder)
    assert.deepEqual(names.sort(), ['audit.1.jsonl', 'audit.2.jsonl', 'audit.3.jsonl', 'audit.jsonl'])
    for (const name of names) assert.ok(statSync(join(folder, name)).size <= 4 << 20)
    assert.deepEqual(
      audit.read(10).map(({ who }) => who),
      ['two', 'one', 'newest', 'older', 'older still'],
    )
  })

  it('reads past a line that a crash cut short', async (t) => {
    const folder = folderOf(t)
    const audit = new Audit(folder)
    await audit.write(entry('before'))
    appendFileSync(join(folder, 'audit.jsonl'), '{"atMs":1,"insta\n')
    await new Audit(folder).write(entry('after'))
    assert.deepEqual(
      audit.read(10).map(({ who }) => who),
      ['after', 'before'],
    )
  })

  it('goes on after the disk had failed', async (t) => {
    const folder = join(folderOf(t), 'data')
    const audit = new Audit(folder)
    await assert.rejects(audit.write(entry('lost')), { code: 'ENOENT' })
    mkdirSync(folder)
    await audit.write(entry('kept'))
    assert.deepEqual(
      audit.read(10).map(({ who }) => who),
      ['kept'],
    )
  })
})
