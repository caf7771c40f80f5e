/**
 * The configuration file's shape: one strict zod schema, from which the messages, the defaults and the reference in
 * `docs/configuration.md` come.
 */
import { hostname } from 'node:os'
import { join } from 'node:path'
import { maxSymbols } from '@ricci/client'
import { defaultSettings } from '@ricci/engine'
import { z } from 'zod'
import { roles } from '../access/role.ts'
import { maxTokens, tokenNameError, tokenNamePattern } from '../access/token.ts'
import { receiverKinds } from '../receivers/kinds.ts'
import { sinkKinds } from '../sinks/kinds.ts'
import { fieldsOf, type ConfigSurroundings } from './fields.ts'
import { stateFolder } from './state-folder.ts'

/** Names are used in rules, metrics and file names. */
const namePattern = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/

/** Shorter ones can be tried out. */
const leastSecretLength = 16

/** Each is a stream with three replicas on the brokers, and an engine on two instances. */
const maxPartitions = 1_024

/** Makes the schema; the surroundings are needed for secrets and relative paths only. */
export function configSchema(surroundings: ConfigSurroundings) {
  const fields = fieldsOf(surroundings)
  const { path, duration, size, count, address, requiredAddress, secret, pem, pemFile } = fields

  const broker = (what: string) =>
    secret(what).refine(
      (value) => URL.canParse(value.reveal()) && /^amqps?(\+srv)?:$/.test(new URL(value.reveal()).protocol),
      {
        error: 'an address beginning with amqp://, amqps://, amqp+srv:// or amqps+srv:// is needed here',
      },
    )

  const managementApi = (what: string) =>
    secret(what).refine((value) => URL.canParse(value.reveal()) && /^https?:$/.test(new URL(value.reveal()).protocol), {
      error: 'an address beginning with http:// or https:// is needed here',
    })

  const [first, ...others] = receiverKinds.map((kind) => kind.schema(fields))
  const receiver = z.discriminatedUnion('type', [first, ...others])
  const [firstSink, ...otherSinks] = sinkKinds.map((kind) => kind.schema(fields))
  const sink = z.discriminatedUnion('type', [firstSink, ...otherSinks])
  const name = z
    .string()
    .regex(namePattern, { error: 'a name begins with a letter and holds letters, digits, _ and -' })

  return z.strictObject({
    instance: z
      .string()
      .min(1)
      .max(255)
      .default(() => hostname())
      .describe('name of this instance, in alarms and claims; by default the name of the machine'),
    data: path(
      'folder of log and snapshots; by default `/var/lib/ricci` for root, else `$XDG_STATE_HOME/ricci` or `~/.local/state/ricci`',
    ).default(stateFolder(surroundings)),
    rules: path('folder whose `index.ts` holds the rules; by default `rules` beside the file').default(
      join(surroundings.folder, 'rules'),
    ),
    listen: z
      .strictObject({
        tcp: address('Riemann TCP').prefault('127.0.0.1:5555'),
        udp: address('Riemann UDP').prefault('127.0.0.1:5555'),
        tls: address("Riemann TCP over TLS, with the certificates of `tls`; Riemann's port is 5554").prefault('off'),
        http: address('API, health and metrics').prefault('127.0.0.1:5556'),
        sse: address("the index as server-sent events, as Riemann's own server on 5558").prefault('off'),
        graphite: address("Graphite's plaintext protocol, tags included; its usual port is 2003").prefault('off'),
        opentsdb: address("OpenTSDB's telnet protocol; its usual port is 4242").prefault('off'),
      })
      .prefault({})
      .describe('addresses, `host:port` or `off`'),
    tls: z
      .strictObject({
        cert: pemFile('file with the certificate of this server, and those between it and its authority'),
        key: pemFile('file with its key'),
        ca: pemFile(
          'file with the certificates of who signs those of clients of `listen.tls`; without it they need none',
        ).optional(),
      })
      .optional()
      .describe(
        'certificates for `listen.tls` and `http.tls`; renewed files are taken over within 10 s, without a restart',
      ),
    cluster: z
      .strictObject({
        brokers: z
          .array(broker('address of a broker'))
          .min(1, { error: 'at least one broker is needed' })
          .describe(
            "RabbitMQ's brokers, each `amqp://USER:PASSWORD@HOST/VHOST` or `amqps://…` (a name stands for all its addresses), or `amqps+srv://USER:PASSWORD@NAME/VHOST` for those that DNS names; as secrets: `{ env: NAME }`, `{ file: PATH }` or text",
          ),
        management: z
          .array(managementApi('address of a management API'))
          .default([])
          .describe(
            "the brokers' management APIs, each `http://USER:PASSWORD@HOST:15672`, as secrets like `brokers`; by these it is seen when brokers stay split, and which is to be restarted",
          ),
        store: z
          .string()
          .min(1)
          .describe(
            'where instances agree on who may claim: `consul://HOST:PORT`, `etcd://HOST:PORT` or `postgres://USER@HOST:PORT/DATABASE`',
          ),
        partitions: count(
          'parts of the log, over which clusters of hosts are spread; fixed when the log is made, the same on all',
          1,
          maxPartitions,
        ).default(32),
        zone: z
          .string()
          .min(1)
          .max(255)
          .optional()
          .describe('what fails together with this instance: a rack, a zone; a partition is kept in two of them'),
        listen: requiredAddress('where other instances reach this one: queries, snapshots').prefault('0.0.0.0:5557'),
        address: requiredAddress(
          'what others are told to reach it at, `host:port`; by default the name of the machine and that port',
        ).optional(),
        secret: secret(
          'what instances know each other by, the same on all, at least 16 characters: `{ env: NAME }`, `{ file: PATH }` or text',
        )
          .refine((value) => value.reveal().length >= leastSecretLength, {
            error: `a secret of at least ${leastSecretLength} characters is needed here, e.g. of: openssl rand -hex 32`,
          })
          .optional(),
        peers: z
          .strictObject({
            ca: pem("file with the certificates of who signed the instances' own"),
            cert: pem('file with the certificate of this instance'),
            key: pem('file with its key'),
          })
          .optional()
          .describe('certificates that instances know each other by, instead of a secret'),
        ca: pem("file with the certificates of who signed the brokers' own").optional(),
        cert: pem('file with the certificate of this instance, for brokers that ask for one').optional(),
        key: pem('file with its key').optional(),
      })
      .optional()
      .describe('several servers that do the same work over one log; without it this one works alone, on its own disk'),
    receivers: z
      .record(name, receiver)
      .default({})
      .transform((named) => ({ console: receiver.parse({ type: 'console' }), ...named }))
      .describe('who can be paged, by the name that rules use; `console` is always there'),
    fallback: z.string().default('console').describe('name of the receiver that hears of pages another one refused'),
    self: z
      .string()
      .optional()
      .describe('name of the receiver (class A) for alarms that cannot travel the log; none by default'),
    drill: z
      .strictObject({
        to: z.string().describe('name of the receiver'),
        every: duration('how often, by whoever owns then', '1m', '30d').prefault('24h'),
      })
      .optional()
      .describe('a marked page proves, day by day, that pages arrive; none by default'),
    sinks: z.record(name, sink).default({}).describe('where `forward` sends events, by the name that rules use'),
    engine: z
      .strictObject({
        defaultTtl: duration('how long an event without ttl holds', '1s', '365d').prefault('60s'),
        grace: duration('least time to any expiry after a takeover or a gap', '0s', '10m').prefault('15s'),
        staleness: duration('age from which an event counts as late', '1s', '24h').prefault('60s'),
        acknowledged: duration('how long an acknowledgement holds that does not say', '1m', '30d').prefault('4h'),
        keepKeys: z
          .union([z.literal('all'), z.array(z.string().min(1))], { error: 'all, or a list of fields, is needed here' })
          .default('all')
          .describe('fields that an expired event keeps: `all`, or a list like `[host, service]`'),
        forksPerBy: count('forks of one `by`; a new key beyond it is refused and counted', 1, 10_000_000).default(
          defaultSettings.forksPerBy,
        ),
        indexRows: count('keys (host and service) in the index', 1, 10_000_000).default(defaultSettings.indexRows),
        eventsPerBuffer: count('events that one window of one fork holds', 1, 1_000_000).default(
          defaultSettings.eventsPerBuffer,
        ),
        symbols: count(
          'texts that hosts, services, states, tags and attributes are made of',
          1_000,
          maxSymbols,
        ).default(defaultSettings.symbols),
        pagesPerMinute: count('pages a rule may decide a minute; the rest goes as one digest', 1, 10_000).default(100),
        pendingPerReceiver: count('pages that may wait for one receiver; more go as digests', 1, 100_000).default(
          10_000,
        ),
      })
      .prefault({})
      .describe('settings of the engine; they travel in the rules record, so that every replica decides alike'),
    intake: z
      .strictObject({
        connections: count('open TCP connections at once; more are closed at once', 1, 100_000).default(10_000),
        idleTimeout: duration('a connection without traffic for this long is closed', '1s', '7d').prefault('1h'),
        frameSize: size('largest message a client may send', '1kB', '64MiB').prefault('16MiB'),
        unsettled: size('bytes taken in and not yet durable, over all connections', '1MiB', '4GiB').prefault('64MB'),
      })
      .prefault({})
      .describe('limits of what clients may do'),
    http: z
      .strictObject({
        allowedHosts: z
          .array(z.string().min(1))
          .default([])
          .describe(
            'names by which browsers and others may ask, besides localhost, 127.0.0.1 and [::1], while HTTP listens there',
          ),
        tls: z
          .boolean({ error: 'true or false is needed here' })
          .default(false)
          .describe(
            'HTTP and server-sent events over TLS, with `cert` and `key` of `tls`; tokens are told to everybody on the way without it',
          ),
        requireToken: z
          .boolean({ error: 'true or false is needed here' })
          .default(false)
          .describe(
            'nothing but health is answered, and no event taken over HTTP, without a token, to programs on this machine neither; for whoever has a proxy in front',
          ),
        tokens: z
          .array(
            z.strictObject({
              name: z
                .string()
                .regex(tokenNamePattern, { error: tokenNameError })
                .describe('who it is given to, as the audit names them'),
              role: z.enum(roles).describe('`viewer`, `operator` or `admin`; see [access.md](access.md)'),
              sha256: z
                .string()
                .regex(/^[0-9a-f]{64}$/, {
                  error:
                    "64 hexadecimal digits are needed here: the token's SHA-256, as ricci token create --offline prints it",
                })
                .describe("the token's SHA-256, 64 hexadecimal digits"),
            }),
          )
          .max(maxTokens, { error: `at most ${maxTokens} tokens are taken` })
          .default([])
          .describe(
            'tokens that hold besides those that `ricci token` makes, each `{ name, role, sha256 }`, the same on all instances; see [access.md](access.md)',
          ),
        requestsPerMinute: count(
          'requests of one caller (a token, else an address) a minute, health, metrics and events not counted; more are answered 429',
          60,
          1_000_000,
        ).default(6_000),
      })
      .prefault({})
      .describe('who may ask over HTTP'),
    retention: z
      .strictObject({
        age: duration('records are kept for this long', '15m', '365d').prefault('24h'),
        size: size(
          'and at most this many bytes of them, and where snapshots cannot be stored up to 64 MiB more',
          '64MB',
          '1000TB',
        ).prefault('10GB'),
      })
      .prefault({})
      .describe('how much of the log is kept, whichever is less'),
  })
}

export type ParsedConfig = z.output<ReturnType<typeof configSchema>>
