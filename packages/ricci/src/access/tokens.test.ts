import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { hashOf, maxTokens, type ConfiguredToken } from './token.ts'
import { Tokens } from './tokens.ts'

const day = 24 * 3_600_000

function instance(context: TestContext, configured: readonly ConfiguredToken[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-tokens-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const clock = { ms: 1_000, wallMs: () => clock.ms }
  let drawn = 0
  const troubles: string[] = []
  const start = (): Tokens => {
    const tokens = new Tokens({
      ...{ configured, folder, clock, onTrouble: (what) => troubles.push(what) },
      randomBytes: (count) => new Uint8Array(count).fill(++drawn),
    })
    tokens.load()
    return tokens
  }
  return { folder, clock, start, troubles, tokens: start() }
}

const configured = { name: 'ansible', role: 'admin', sha256: hashOf('from the configuration') } as const

describe('tokens', () => {
  it('are known by their secret, which is kept nowhere, also after a restart', (t) => {
    const { tokens, start, folder } = instance(t)
    const { token } = tokens.create({ name: 'grafana', role: 'viewer' }, 'ana')
    assert.match(token, /^ricci_[\w-]{43}$/)
    for (const each of [tokens, start()]) assert.deepEqual(each.find(token), { name: 'grafana', role: 'viewer' })
    assert.deepEqual(tokens.find(`${token}x`), { wrong: 'unknown' })
    assert.deepEqual(tokens.find(''), { wrong: 'unknown' })
    assert.deepEqual(readdirSync(folder), ['tokens.json'])
    const kept = readFileSync(join(folder, 'tokens.json'), 'utf8')
    assert.ok(!kept.includes(token) && kept.includes(hashOf(token)))
  })

  it('expire, and are forgotten a year later', (t) => {
    const { tokens, clock } = instance(t)
    const { token } = tokens.create({ name: 'ci', role: 'operator', expiresInMs: day }, 'ana')
    clock.ms += day - 1
    assert.ok('name' in tokens.find(token))
    clock.ms++
    assert.deepEqual(tokens.find(token), { wrong: 'expired' })
    // its name is free again
    tokens.create({ name: 'ci', role: 'operator', expiresInMs: day }, 'ana')
    assert.equal(tokens.list().length, 2)
    clock.ms += 366 * day
    tokens.create({ name: 'other', role: 'viewer' }, 'ana')
    assert.deepEqual(
      tokens.list().map(({ name, state }) => [name, state]),
      [
        ['ci', 'expired'],
        ['other', 'valid'],
      ],
    )
  })

  it('are revoked by name, those of the configuration too', (t) => {
    const { tokens, start } = instance(t, [configured])
    assert.deepEqual(tokens.find('from the configuration'), { name: 'ansible', role: 'admin' })
    const { token } = tokens.create({ name: 'ci', role: 'operator' }, 'ana')
    tokens.revoke('ci', 'ana', 'leaked')
    tokens.revoke('ansible', 'ana', 'leaked too')
    for (const each of [tokens, start()]) {
      assert.deepEqual(each.find(token), { wrong: 'revoked' })
      assert.deepEqual(each.find('from the configuration'), { wrong: 'revoked' })
      assert.deepEqual(
        each.list().map(({ name, from, state, revoked }) => [name, from, state, revoked?.why]),
        [
          ['ansible', 'configuration', 'revoked', 'leaked too'],
          ['ci', 'command', 'revoked', 'leaked'],
        ],
      )
    }
    assert.throws(() => tokens.revoke('ci', 'ana', ''), { code: 'NO_TOKEN' })
  })

  it('have a name each, of those that hold', (t) => {
    const { tokens } = instance(t, [configured])
    for (const name of ['ansible', 'ci']) {
      if (name === 'ci') tokens.create({ name, role: 'viewer' }, 'ana')
      assert.throws(() => tokens.create({ name, role: 'viewer' }, 'ana'), { code: 'TOKEN_EXISTS' })
    }
    assert.throws(() => tokens.revoke('cii', 'ana', ''), /did you mean "ci"/)
  })

  it('become one set, in whatever order instances tell each other', (t) => {
    const [a, b, c] = [instance(t), instance(t), instance(t)]
    const { token } = a.tokens.create({ name: 'ci', role: 'operator' }, 'ana')
    const before = a.tokens.all()
    assert.equal(b.tokens.merge(before), true)
    assert.equal(b.tokens.merge(before), false)
    a.clock.ms = 3_000
    a.tokens.revoke('ci', 'ana', 'later')
    b.clock.ms = 2_000
    b.tokens.revoke('ci', 'bert', 'earlier')
    for (const told of [a.tokens.all(), before, b.tokens.all(), a.tokens.all()]) c.tokens.merge(told)
    a.tokens.merge(b.tokens.all())
    for (const { tokens } of [a, b, c]) {
      assert.deepEqual(tokens.find(token), { wrong: 'revoked' })
      assert.equal(tokens.list()[0].revoked?.why, 'earlier')
    }
  })

  it('take nothing from another instance that is no token', (t) => {
    const { tokens } = instance(t)
    const good = { name: 'a', role: 'admin', sha256: 'a'.repeat(64), createdAtMs: 1, createdBy: 'x' }
    const wrong = [{ role: 'root' }, { name: '' }, { sha256: 'A' }, { createdBy: 'x'.repeat(201) }, { revoked: {} }]
    for (const bad of [null, 1, ...wrong.map((one) => ({ ...good, ...one }))]) assert.equal(tokens.merge([bad]), false)
    assert.equal(tokens.merge([good]), true)
  })

  it('are so many and no more, but a revocation of the configuration is always known', (t) => {
    const { tokens } = instance(t, [configured])
    const many = Array.from({ length: maxTokens + 1 }, (_, i) => ({
      ...{ name: `t${i}`, role: 'viewer', createdAtMs: 1, createdBy: 'x' },
      sha256: i.toString(16).padStart(64, '0'),
    }))
    tokens.merge(many)
    assert.equal(tokens.all().length, maxTokens)
    assert.throws(() => tokens.create({ name: 'one', role: 'viewer' }, 'x'), { code: 'TOO_MANY_TOKENS' })
    const revoked = { atMs: 1, by: 'x', why: '' }
    tokens.merge([{ ...configured, createdAtMs: 1, createdBy: 'x', revoked }])
    assert.deepEqual(tokens.find('from the configuration'), { wrong: 'revoked' })
  })

  it('do not hold where they could not be kept', (t) => {
    const { tokens, folder } = instance(t)
    rmSync(folder, { recursive: true })
    assert.throws(() => tokens.create({ name: 'ci', role: 'viewer' }, 'ana'), { code: 'ENOENT' })
    assert.deepEqual(tokens.list(), [])
  })

  for (const text of ['', '{"tok', '{"tokens":[{"name":"a"}]}', '[]']) {
    it(`put a file aside that holds ${JSON.stringify(text)}`, (t) => {
      const { folder, start, troubles } = instance(t)
      writeFileSync(join(folder, 'tokens.json'), text)
      assert.deepEqual(start().list(), [])
      assert.deepEqual(readdirSync(folder), ['tokens.json.damaged'])
      assert.match(troubles.join(), /put aside/)
    })
  }
})
