/**
 * The configuration file's shape: one strict zod schema, from which the messages, the defaults and the reference in
 * `docs/configuration.md` come.
 */
import { hostname } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { maxSymbols } from '@ricci/client'
import { defaultSettings } from '@ricci/engine'
import { z } from 'zod'
import { Secret } from './secret.ts'
import { stateFolder, type StateOf } from './state-folder.ts'
import { parseAddress, parseDuration, parseSize } from './units.ts'

/** What resolving a configuration needs from the outside. */
export interface ConfigSurroundings extends StateOf {
  /** Where relative paths in the file start: the file's own folder. */
  readonly folder: string
  readFile(path: string): string
}

/** Names are used in rules, metrics and file names. */
const namePattern = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/

/** Shorter ones can be tried out. */
const leastSecretLength = 16

/** Each is a stream with three replicas on the brokers, and an engine on two instances. */
const maxPartitions = 1_024

/** RFC 9110, 5.5: whoever sends another gets an error with each page instead of sending it. */
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/

/** Headers with which nothing would be sent: the connection makes its own. */
const ownHeaders = ['connection', 'content-length', 'expect', 'keep-alive', 'transfer-encoding', 'upgrade']

/** Makes the schema; the surroundings are needed for secrets and relative paths only. */
export function configSchema(surroundings: ConfigSurroundings) {
  const path = (what: string) =>
    z
      .string()
      .min(1)
      .describe(what)
      .transform((text) => (isAbsolute(text) ? text : join(surroundings.folder, text)))

  const duration = (what: string, shortest: string, longest: string) =>
    z
      .string({ error: 'a duration needs its unit, like 30s, 15m or 24h' })
      .describe(what)
      .transform((text, context) => {
        const ms = parseDuration(text)
        if (ms === undefined) return fail(context, `"${text}" is no duration; write it like 500ms, 30s, 15m, 24h or 7d`)
        if (ms < parseDuration(shortest)! || ms > parseDuration(longest)!) {
          return fail(context, `${text} is out of range: from ${shortest} to ${longest}`)
        }
        return ms
      })

  const size = (what: string, smallest: string, largest: string) =>
    z
      .string({ error: 'a size needs its unit, like 64MiB or 10GB' })
      .describe(what)
      .transform((text, context) => {
        const bytes = parseSize(text)
        if (bytes === undefined) return fail(context, `"${text}" is no size; write it like 512kB, 64MiB or 10GB`)
        if (bytes < parseSize(smallest)! || bytes > parseSize(largest)!) {
          return fail(context, `${text} is out of range: from ${smallest} to ${largest}`)
        }
        return bytes
      })

  const count = (what: string, least: number, most: number) =>
    z
      .int({ error: 'a whole number is needed here' })
      .min(least, { error: `out of range: from ${least} to ${most}` })
      .max(most, { error: `out of range: from ${least} to ${most}` })
      .describe(what)

  const address = (what: string) =>
    z
      .union([z.literal('off'), z.literal(false), z.string()], { error: 'an address is host:port, or off' })
      .describe(what)
      .transform((text, context) => {
        if (text === false || text === 'off') return undefined
        return (
          parseAddress(text) ?? fail(context, `"${text}" is no address; write host:port like 127.0.0.1:5555, or off`)
        )
      })

  const requiredAddress = (what: string) =>
    z
      .string()
      .describe(what)
      .transform(
        (text, context) =>
          parseAddress(text) ?? fail(context, `"${text}" is no address; write host:port like 10.0.0.1:5557`),
      )

  const secret = (what: string) =>
    z
      .union(
        [z.string().min(1), z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
        {
          error: 'a secret is { env: NAME }, { file: PATH } or the text itself',
        },
      )
      .describe(what)
      .transform((value, context) => {
        if (typeof value === 'string') return new Secret(value)
        if ('env' in value) {
          const found = surroundings.env[value.env]
          if (found === undefined || found === '') {
            return fail(context, `the environment variable ${value.env} is not set; set it before Ricci starts`)
          }
          return new Secret(found)
        }
        const file = isAbsolute(value.file) ? value.file : join(surroundings.folder, value.file)
        try {
          const text = surroundings.readFile(file).trim()
          return text === '' ? fail(context, `${file} is empty; write the secret into it`) : new Secret(text)
        } catch (error) {
          return fail(context, `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`)
        }
      })

  /** A file that can be read: what is wanted of it. */
  const readable = (what: string, wanted: (file: string, text: string) => string) =>
    z
      .string()
      .min(1)
      .describe(what)
      .transform((text, context) => {
        const file = isAbsolute(text) ? text : join(surroundings.folder, text)
        try {
          return wanted(file, surroundings.readFile(file))
        } catch (error) {
          return fail(context, `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`)
        }
      })

  const pem = (what: string) => readable(what, (_file, text) => text)

  /** Read again and again: its path is kept. */
  const pemFile = (what: string) => readable(what, (file) => file)

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

  const header = (what: string) =>
    secret(what).refine((value) => headerValue.test(value.reveal()), {
      error: 'a header is one line, without letters beyond U+00FF; write it so, or encode it',
    })

  const url = (what: string) =>
    z
      .string()
      .describe(what)
      .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
        error: 'an address beginning with http:// or https:// is needed here',
        abort: true,
      })
      .refine((text) => new URL(text).username === '' && new URL(text).password === '', {
        error: 'a name or password in an address is not sent; put it into the header Authorization',
      })

  const sendOvertaken = z
    .boolean()
    .default(false)
    .describe('also send trigger and resolve of an incident that was over before its trigger could be sent')
  const inDoubt = z
    .enum(['repeat', 'miss'])
    .default('repeat')
    .describe('class C only: what to do with an attempt whose effect nobody can know')

  const receiver = z.discriminatedUnion('type', [
    z
      .strictObject({ type: z.literal('console'), inDoubt, sendOvertaken })
      .transform((fields) => ({ ...fields, class: 'C' as const })),
    z.strictObject({
      type: z.literal('webhook'),
      url: url('where pages are posted to'),
      headers: z
        .record(
          z
            .string()
            .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, { error: 'the name of a header holds letters, digits and -' })
            .refine((name) => !ownHeaders.includes(name.toLowerCase()), {
              error: 'this header belongs to the connection; leave it out',
            }),
          header('value of a header'),
        )
        .default({})
        .describe('headers sent with each request; values are secrets: `{ env: NAME }`, `{ file: PATH }` or text'),
      class: z
        .enum(['A', 'C'])
        .default('A')
        .describe('`A` when the receiver honours Idempotency-Key or dedupKey, `C` when it is blind'),
      inDoubt,
      sendOvertaken,
    }),
    z
      .strictObject({
        type: z.literal('pagerduty'),
        routingKey: secret(
          'the integration key of an Events v2 integration: `{ env: NAME }`, `{ file: PATH }` or text',
        ),
        url: url('where events are posted to; the service region EU has another').default(
          'https://events.pagerduty.com/v2/enqueue',
        ),
        sendOvertaken,
      })
      .transform((fields) => ({ ...fields, class: 'A' as const, inDoubt: 'repeat' as const })),
  ])

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
          'file with the certificates of who signs those of clients; without it clients need none',
        ).optional(),
      })
      .optional()
      .describe('certificates for `listen.tls`; renewed files are taken over within 10 s, without a restart'),
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
      .record(
        z.string().regex(namePattern, { error: 'a name begins with a letter and holds letters, digits, _ and -' }),
        receiver,
      )
      .default({})
      .describe('who can be paged, by the name that rules use; `console` is always there'),
    fallback: z.string().default('console').describe('name of the receiver that hears of pages another one refused'),
    self: z
      .string()
      .optional()
      .describe('name of the receiver (class A) for alarms that cannot travel the log; none by default'),
    engine: z
      .strictObject({
        defaultTtl: duration('how long an event without ttl holds', '1s', '365d').prefault('60s'),
        grace: duration('least time to any expiry after a takeover or a gap', '0s', '10m').prefault('15s'),
        staleness: duration('age from which an event counts as late', '1s', '24h').prefault('60s'),
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

/** Adds the problem to what zod reports, at the value's own place. */
function fail(context: z.core.$RefinementCtx, message: string): never {
  context.issues.push({ code: 'custom', message, input: context.value })
  return z.NEVER
}
