import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { defaultSettings, settingsFrom } from '@ricci/engine'
import { RicciError } from '../errors.ts'
import { defaultConfig, loadConfig, parseConfig } from './config.ts'
import { fieldsOf } from './fields.ts'

const surroundings = {
  folder: '/etc/ricci',
  env: { HOME: '/home/ann', KEY: 'from-env', LONG: 'a secret that is long enough' } as Record<string, string>,
  root: false,
  readFile: (path: string) => {
    if (path === '/etc/ricci/secret') return 'from-file\n'
    throw Object.assign(new Error('no'), { code: 'ENOENT' })
  },
}
const parse = (text: string) => parseConfig(text, 'ricci.yaml', surroundings)

function messageOf(text: string): string {
  try {
    parse(text)
  } catch (error) {
    assert.ok(error instanceof RicciError, String(error))
    assert.equal(error.code, 'CONFIG_INVALID')
    return error.message
  }
  assert.fail('no error')
}

describe('configuration', () => {
  test('without a file: all defaults', () => {
    const config = defaultConfig('/srv', surroundings)
    assert.equal(config.dataFolder, '/home/ann/.local/state/ricci')
    assert.equal(config.rulesFolder, '/srv/rules')
    assert.deepEqual(config.listen, {
      tcp: { host: '127.0.0.1', port: 5555 },
      udp: { host: '127.0.0.1', port: 5555 },
      tls: undefined,
      http: { host: '127.0.0.1', port: 5556 },
      sse: undefined,
      graphite: undefined,
      opentsdb: undefined,
    })
    assert.deepEqual([...config.receivers.keys()], ['console'])
    assert.equal(config.fallback, 'console')
    assert.equal(config.self, undefined)
    // the engine's own defaults, and it takes them
    const settings = settingsFrom({ ...config.engine, fallbackReceiver: config.fallback })
    for (const [name, value] of Object.entries(defaultSettings))
      assert.deepEqual(settings[name as 'graceMs'], value, name)
    assert.deepEqual(config.engine.bothWhenOvertaken, [])
    assert.deepEqual(config.retention, { ageMs: 86_400_000, bytes: 10e9 })
  })

  test('the data folder follows user and XDG_STATE_HOME', () => {
    assert.equal(defaultConfig('/x', { ...surroundings, root: true }).dataFolder, '/var/lib/ricci')
    const env = { ...surroundings.env, XDG_STATE_HOME: '/state' }
    assert.equal(defaultConfig('/x', { ...surroundings, env }).dataFolder, '/state/ricci')
  })

  test('the name that JavaScript keeps for itself is refused, wherever it stands', () => {
    const receiver = '{ type: webhook, url: "http://127.0.0.1:1" }'
    for (const text of [
      `receivers: { __proto__: ${receiver} }`,
      `receivers:\n  ok: ${receiver}\n  "__proto__": ${receiver}`,
      '__proto__: { listen: { tcp: off } }',
      'engine: { __proto__: { grace: 1s } }',
    ]) {
      assert.match(messageOf(text), /__proto__ is no name that can be used; take another/, text)
    }
  })

  test('what a file says holds, with units and relative paths', () => {
    const config = parse(`
data: data
listen: { tcp: "[::1]:0", udp: off, http: 0.0.0.0:80 }
engine: { defaultTtl: 2m, grace: 0s }
retention: { age: 7d, size: 1 TiB }
`)
    assert.equal(config.dataFolder, '/etc/ricci/data')
    assert.deepEqual(config.listen, {
      tcp: { host: '::1', port: 0 },
      udp: undefined,
      tls: undefined,
      http: { host: '0.0.0.0', port: 80 },
      sse: undefined,
      graphite: undefined,
      opentsdb: undefined,
    })
    assert.equal(config.engine.defaultTtlSeconds, 120)
    assert.deepEqual(parse('engine: { keepKeys: [host] }').engine.keepKeys, ['host'])
    assert.deepEqual(config.retention, { ageMs: 7 * 86_400_000, bytes: 2 ** 40 })
  })

  test('secrets come from the environment, a file or the text, and hide themselves', () => {
    const config = parse(`
receivers:
  pd: { type: pagerduty, routingKey: { env: KEY } }
  hook: { type: webhook, sendOvertaken: true, url: "https://h.example/x", headers: { a: { file: secret }, b: plain } }
self: pd
`)
    assert.equal(config.receivers.get('pd')!.class, 'A')
    assert.equal(config.receivers.get('hook')!.class, 'A')
    assert.deepEqual(config.engine.bothWhenOvertaken, ['hook'])
    const { secret } = fieldsOf({ ...surroundings, root: false })
    const found = [{ env: 'KEY' }, { file: 'secret' }, 'plain'].map((given) => secret('').parse(given))
    assert.deepEqual(
      found.map((one) => one.reveal()),
      ['from-env', 'from-file', 'plain'],
    )
    const shown =
      inspect(config.receivers, { depth: 9 }) + JSON.stringify([found, ...config.receivers]) + inspect(found)
    assert.doesNotMatch(shown, /from-env|from-file|plain/)
  })

  test('a file that cannot be read says so', () => {
    assert.throws(() => loadConfig('/nowhere/ricci.yaml'), { code: 'CONFIG_UNREADABLE', message: /ENOENT/ })
  })

  test('a file on disk: paths start at its folder', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ricci-config-'))
    try {
      writeFileSync(join(folder, 'ricci.yaml'), 'rules: mine\n')
      assert.equal(loadConfig(join(folder, 'ricci.yaml')).rulesFolder, join(folder, 'mine'))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('configuration mistakes', () => {
  test('no control character of what is no configuration reaches the terminal', () => {
    const message = messageOf('\u001b[2J\u009b7m\u0007 x')
    assert.match(message, /^ricci\.yaml:1:/)
    assert.doesNotMatch(message, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  })

  test('an unknown key is shown at its place, with the key that was meant', () => {
    assert.equal(
      messageOf('data: /x\nrecievers:\n  a: { type: console }\n'),
      [
        'ricci.yaml:2:1: there is no key "recievers" here; did you mean "receivers"?',
        '  2 | recievers:',
        '    | ^^^^^^^^^',
      ].join('\n'),
    )
  })

  const cases: [name: string, text: string, expected: RegExp][] = [
    [
      'unknown key in a receiver',
      'receivers:\n  hook:\n    type: webhook\n    url: http://x\n    header: {}\n',
      /^ricci\.yaml:5:5: .*"header".*did you mean "headers"\?\n {2}5 \| {5}header: \{\}\n {4}\| {5}\^{6}$/,
    ],
    ['unknown key below listen', 'listen:\n  tpc: "1.2.3.4:5"\n', /:2:3: .*"tpc".*did you mean "tcp"/],
    ['nothing like it', 'zzzzzz: 1\n', /there is no key "zzzzzz" here\n/],
    [
      'wrong type name',
      'receivers:\n  a:\n    type: webhok\n',
      /:3:11: there is no type "webhok"; did you mean "webhook"/,
    ],
    ['type missing', 'receivers:\n  a: {}\n', /:2:3: "type" is missing here; a receiver is of type console, webhook/],
    ['url missing', 'receivers:\n  a:\n    type: webhook\n', /:2:3: "url" is missing here; add it/],
    ['secret missing', 'receivers:\n  a:\n    type: pagerduty\n', /:2:3: "routingKey" is missing here; add it/],
    [
      'template',
      'receivers:\n  a:\n    type: webhook\n    url: http://x\n    body: { text: ["{{sumary}}"] }\n',
      /:5:5: there is no field \{\{sumary\}\}; did you mean "summary"\?; there are version, id/,
    ],
    [
      'JSON in a text',
      `receivers:\n  a:\n    type: webhook\n    url: http://x\n    body: '{"text": "{{summary}}"}'\n`,
      /:5:11: this is JSON in a text, which a quote in an event would break; write it as keys and lists/,
    ],
    [
      'template without end',
      'receivers:\n  a:\n    type: webhook\n    url: http://x\n    body: "{{summary"\n',
      /:5:11: "\{\{summary" begins no field; write \{\{summary\}\}/,
    ],
    [
      'password without a name',
      'receivers:\n  a: { type: email, host: h, password: p, from: a@b, to: [c@d] }\n',
      /:2:3: user and password belong together/,
    ],
    [
      'password in the clear',
      'receivers:\n  a: { type: email, host: h, user: u, password: p, from: a@b, to: [c@d], tls: off }\n',
      /a password is not sent in the clear; use starttls/,
    ],
    [
      'mail address',
      'receivers:\n  a: { type: email, host: h, from: "A <a@b>", to: [c@d] }\n',
      /an address like ops@example.com is needed here/,
    ],
    [
      'channel by its name',
      'receivers:\n  a: { type: slack, token: t, channel: "#ops" }\n',
      /a channel's id is needed here, like C0123ABCD/,
    ],
    [
      'weak signing secret',
      'receivers:\n  a: { type: webhook, url: "http://x", signingSecret: short }\n',
      /a secret of at least 16 bytes is needed here/,
    ],
    ['url wrong', 'receivers:\n  a: { type: webhook, url: "ftp://x" }\n', /:2:28: an address beginning with http/],
    ['class', 'receivers:\n  a: { type: webhook, url: "http://x", class: B }\n', /one of A, C is needed/],
    ['environment', 'receivers:\n  a: { type: pagerduty, routingKey: { env: NOPE } }\n', /variable NOPE is not set/],
    [
      'secret file',
      'receivers:\n  a: { type: pagerduty, routingKey: { file: x } }\n',
      /\/etc\/ricci\/x cannot be read \(ENOENT/,
    ],
    ['secret shape', 'receivers:\n  a: { type: pagerduty, routingKey: { evn: A } }\n', /a secret is \{ env: NAME \}/],
    ['receiver name', 'receivers:\n  "1 a": { type: console }\n', /:2:3: a name begins with a letter/],
    ['fallback', 'fallback: consle\n', /:1:11: there is no receiver "consle"; did you mean "console"/],
    ['self must be keyed', 'self: console\n', /:1:7: "console" is of class C/],
    [
      'console as another type',
      'receivers:\n  console: { type: webhook, url: "http://x/" }\n',
      /:2:3: console is always there and prints/,
    ],
    ['one port twice', 'listen:\n  tcp: 127.0.0.1:7000\n  http: 0.0.0.0:7000\n', /:3:\d+: tcp and http cannot both/],
    ['TLS without a certificate', 'listen: { tls: "0.0.0.0:5554" }\n', /:1:16: TLS needs a certificate; add "tls"/],
    [
      'a certificate that is not there',
      'tls: { cert: a.pem, key: a.key }\n',
      /\/etc\/ricci\/a\.pem cannot be read \(ENOENT/,
    ],
    ['self as a name', 'receivers:\n  self: { type: console }\n', /:2:3: the name self stands for/],
    ['duration without unit', 'retention: { age: 24 }\n', /:1:19: a duration needs its unit/],
    ['duration with a wrong unit', 'retention: { age: 24x }\n', /"24x" is no duration; write it like/],
    ['duration out of range', 'retention: { age: 1s }\n', /1s is out of range: from 15m to 365d/],
    ['size', 'retention: { size: lots }\n', /"lots" is no size/],
    ['address', 'listen: { tcp: 5555 }\n', /an address is host:port, or off/],
    ['port', 'listen: { tcp: "127.0.0.1:70000" }\n', /is no address/],
    ['count', 'intake: { connections: 0 }\n', /out of range: from 1 to 100000/],
    ['count fraction', 'intake: { connections: 1.5 }\n', /a whole number is needed here/],
    ['block expected', 'listen: 5555\n', /:1:9: a block of keys is needed here/],
    ['list at the top', '- a\n', /:1:1: a block of keys is needed here/],
    ['broken YAML', 'data: [1\nrules: x\n', /^ricci\.yaml:\d+:\d+: /],
    ['two documents', 'data: a\n---\ndata: b\n', /^ricci\.yaml:2:1: a second document begins here; keep one/],
    ['an alias of nothing', 'listen:\n  tcp: *:5555\n', /:2:8: there is no &:5555 before this; .* needs quotes\n/],
    [
      'aliases without end',
      `a: &a [x, x]\n${[...'bcdefghij'].reduce((text, name, i) => `${text}${name}: &${name} [${`*${'abcdefghi'[i]}, `.repeat(9)}x]\n`, '')}`,
      /^ricci\.yaml:1:1: aliases .* stand for more than they may/,
    ],
    [
      'a header of two lines',
      'receivers:\n  a: { type: webhook, url: "http://x", headers: { a: "b\\nc" } }\n',
      /:2:54: a header is one line/,
    ],
    [
      'a header of the connection',
      'receivers:\n  a: { type: webhook, url: "http://x", headers: { Content-Length: "1" } }\n',
      /:2:51: this header belongs to the connection/,
    ],
    [
      'the name of a header',
      'receivers:\n  a: { type: webhook, url: "http://x", headers: { "a b": c } }\n',
      /:2:51: the name of a header holds letters/,
    ],
    [
      'a password in an address',
      'receivers:\n  a: { type: webhook, url: "http://me:pw@x" }\n',
      /:2:28: a name or password in an address is not sent; .*Authorization/,
    ],
    ['twice the same key', 'data: a\ndata: b\n', /^ricci\.yaml:2:1: .*unique/],
  ]
  for (const [name, text, expected] of cases) {
    test(name, () => assert.match(messageOf(text), expected))
  }

  test('no secret is shown, wherever the mistake is', () => {
    const texts = [
      'receivers:\n  a:\n    type: pagerduty\n    routingkey: S3CRET\n',
      'receivers:\n  a: { type: pagerduty, routingKye: S3CRET }\n',
      'recievers: { a: { type: pagerduty, routingKey: S3CRET } }\n',
      'receivers:\n  a: { type: webhook, url: hooks.example/S3CRET }\n',
      'receivers:\n  a:\n    type: pagerduty\n    routingKey: S3CRET: x\n',
      'receivers:\n  a:\n    type: pagerduty\n    routingKey: [S3CRET]\n',
      'receivers:\n  a: routingKey:S3CRET\n',
      'receivers:\n  a:\n    type: pagerduty\n    routingKey: "S3CRET\n',
      'receivers:\n  a:\n    type: webhook\n    url: http://x\n    headers:\n      "bad name": S3CRET\n',
    ]
    for (const text of texts) assert.doesNotMatch(messageOf(text), /S3CRET/, text)
    assert.match(
      messageOf('receivers:\n  a: { type: pagerduty, routingKey: 1234 }\n'),
      /:2:37: a secret is .*\n {2}2 \| {3}a: \{ type: pagerduty, routingKey: \*{4} \}\n {4}\| {37}\^{4}$/m,
    )
  })

  test('all mistakes are listed, the first ten of them', () => {
    const message = messageOf(Array.from({ length: 12 }, (_, i) => `key${i}: 1`).join('\n'))
    assert.equal(message.match(/there is no key/g)!.length, 10)
    assert.match(message, /… and 2 more$/)
  })

  describe('a cluster', () => {
    const brokers = 'brokers: ["amqp://broker-1/ricci"], store: "consul://127.0.0.1:8500"'

    test('has 32 partitions, and is known to others by the secret', () => {
      const { cluster } = parse(`cluster: { ${brokers}, secret: { env: LONG } }`)
      assert.equal(cluster?.partitions, 32)
      assert.deepEqual(cluster.listen, { host: '0.0.0.0', port: 5557 })
      assert.ok('secret' in cluster.identity)
      assert.equal(cluster.identity.secret.reveal(), surroundings.env.LONG)
      assert.equal(cluster.tls, undefined)
    })

    test('without anything that instances know each other by, or with two such things, is refused', () => {
      const peers = 'peers: { ca: secret, cert: secret, key: secret }'
      assert.match(messageOf(`cluster: { ${brokers} }`), /give "secret", or "peers", not both/)
      assert.match(messageOf(`cluster: { ${brokers}, ${peers}, secret: { env: LONG } }`), /not both/)
      assert.deepEqual(parse(`cluster: { ${brokers}, ${peers} }`).cluster?.identity, {
        ca: 'from-file\n',
        cert: 'from-file\n',
        key: 'from-file\n',
      })
    })

    test('a secret that can be guessed, and an address that is none, are refused', () => {
      assert.match(messageOf(`cluster: { ${brokers}, secret: short }`), /at least 16 characters/)
      assert.match(messageOf(`cluster: { ${brokers}, secret: { env: LONG }, listen: here }`), /"here" is no address/)
    })
  })
})
