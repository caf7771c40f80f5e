import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { listContexts, useContext } from './contexts.ts'
import { defaultUrl, targetOf } from './target.ts'

const text = `# ours
current: production
contexts:
  production:
    urls: [https://one:5556, https://two:5556]
    token: { file: production.token }
    ca: ca.pem
  lab: # at home
    urls: [http://lab:5556]
    token: { env: LAB_TOKEN }
  plain:
    urls: [http://plain:5556]
    token: as-text
  open:
    urls: [http://open:5556]
`

function home(context: TestContext, contexts: string | undefined = text) {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-contexts-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'ricci'))
  const file = join(folder, 'ricci', 'contexts.yaml')
  if (contexts !== '') writeFileSync(file, contexts, { mode: 0o600 })
  writeFileSync(join(folder, 'ricci', 'production.token'), 'from-file\n')
  writeFileSync(join(folder, 'ricci', 'ca.pem'), 'PEM')
  return { env: { XDG_CONFIG_HOME: folder }, file }
}

const production = { urls: ['https://one:5556', 'https://two:5556'], token: 'from-file', ca: 'PEM' }
const lab = { urls: ['http://lab:5556'], token: 'from-env' }

describe('whom a command asks', () => {
  for (const [what, given, env, expected] of [
    ['the current context', {}, {}, production],
    ['RICCI_CONTEXT before it', {}, { RICCI_CONTEXT: 'lab', LAB_TOKEN: 'from-env' }, lab],
    ['RICCI_URL before that', {}, { RICCI_URL: 'http://env', RICCI_CONTEXT: 'lab' }, { urls: ['http://env'] }],
    ['--context before that', { context: 'open' }, { RICCI_URL: 'http://env' }, { urls: ['http://open:5556'] }],
    ['--url before all, without a token of another', { url: 'http://it' }, {}, { urls: ['http://it'] }],
    ['RICCI_TOKEN', { url: 'http://it' }, { RICCI_TOKEN: 't' }, { urls: ['http://it'], token: 't' }],
    ['RICCI_TOKEN before that of a context', {}, { RICCI_TOKEN: 't' }, { ...production, token: 't' }],
    ['who asks', { context: 'open' }, { USER: 'ana' }, { urls: ['http://open:5556'], user: 'ana' }],
    [
      'who asks by sudo',
      { context: 'open' },
      { USER: 'root', SUDO_USER: 'ana' },
      { urls: ['http://open:5556'], user: 'ana' },
    ],
    ['nobody a header cannot name', { context: 'open' }, { USER: 'änä' }, { urls: ['http://open:5556'] }],
  ] as const) {
    it(what, (t) => assert.deepEqual(targetOf(given, { env: { ...home(t).env, ...env } }), expected))
  }

  it('this machine where nothing says otherwise', (t) => {
    assert.deepEqual(targetOf({}, { env: home(t, '').env }), { urls: [defaultUrl] })
  })

  for (const [what, given, contexts, error] of [
    ['two ways at once', { url: 'http://a', context: 'lab' }, text, /give one of them/],
    [
      'no such context',
      { context: 'prodction' },
      text,
      /no context "prodction"; did you mean "production"\? It has production, lab/,
    ],
    ['a context where there are none', { context: 'x' }, '', /it has none; docs\/access\.md/],
    ['a name that every object has', { context: 'constructor' }, text, /no context/],
    ['a variable that is not set', { context: 'lab' }, text, /LAB_TOKEN is not set/],
    ['no YAML', {}, 'a: [', /is no YAML/],
    [
      'a key that is unknown',
      {},
      'contexts: { a: { urls: [http://a], tokn: secret } }',
      /contexts\.a: Unrecognized key: "tokn"/,
    ],
    [
      'an address that is none',
      {},
      'contexts: { a: { urls: [ftp://secret] } }',
      /contexts\.a\.urls\.0: an address beginning/,
    ],
    ['no address', {}, 'contexts: { a: { urls: [] } }', /contexts\.a\.urls/],
  ] as const) {
    it(`says what is wrong: ${what}`, (t) => {
      assert.throws(
        () => targetOf(given, { env: home(t, contexts).env }),
        (thrown: Error) => {
          assert.match(thrown.message, error)
          assert.ok(!thrown.message.includes('secret'))
          return true
        },
      )
    })
  }

  it('takes no token out of a file that others may read, and does not mind where none stands in it', (t) => {
    const { env, file } = home(t)
    chmodSync(file, 0o640)
    assert.throws(() => targetOf({ context: 'plain' }, { env }), /may be read by others; chmod 600/)
    assert.deepEqual(targetOf({ context: 'open' }, { env }).urls, ['http://open:5556'])
    chmodSync(file, 0o600)
    assert.equal(targetOf({ context: 'plain' }, { env }).token, 'as-text')
  })

  it('lists contexts without tokens, and makes another the current one without losing comments', (t) => {
    const { env, file } = home(t)
    useContext('lab', env)
    assert.equal(readFileSync(file, 'utf8'), text.replace('current: production', 'current: "lab"'))
    const { current, contexts } = listContexts(env)
    assert.equal(current, 'lab')
    assert.deepEqual(
      contexts.map(({ name, token }) => [name, token]),
      [
        ['production', 'production.token'],
        ['lab', '$LAB_TOKEN'],
        ['plain', 'in the file'],
        ['open', 'none'],
      ],
    )
    assert.throws(() => useContext('nothing', env), /no context "nothing"/)
  })
})
