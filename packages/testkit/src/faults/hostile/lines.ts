/** Lines of Graphite and OpenTSDB. */
import type { SeededRandom } from '../../random.ts'
import { openPlain, type Attempt, type Target } from './attempt.ts'
import { mutated, noise } from './bytes.ts'
import { leaving, strangers } from './riemann.ts'

/** The longest line that is taken; a byte that is no UTF-8 becomes three that are. */
const maxLineBytes = 8_192

const kinds = [
  'mutated',
  'mutated',
  'mutated',
  'good',
  'long',
  'tags',
  'bytes',
  'numbers',
  'noise',
  'stranger',
  'ends',
] as const

interface Form {
  readonly good: readonly string[]
  line(name: string, value: string, time: string, tags: readonly string[]): string
}

const graphite: Form = {
  good: ['a.b.c 1 1400000000', 'a;host=h;dc=x 1.5 1400000000', 'a;ttl=60;tags=t -1e3 1400000000', 'é;é=é 1 1400000000'],
  line: (name, value, time, tags) => `${[name, ...tags].join(';')} ${value} ${time}`,
}

const openTsdb: Form = {
  good: ['put a 1400000000 1 host=h', 'put a 1400000000123 1.5 host=h dc=x', 'version', 'put é 1400000000 1 é=é'],
  line: (name, value, time, tags) => ['put', name, time, value, ...tags].join(' '),
}

const numbers = [
  '1e999',
  '-1e999',
  'NaN',
  'Infinity',
  '9007199254740991',
  '-9007199254740991',
  '1'.repeat(400),
  '0x10',
  '-0',
  '1e-999',
  '.',
  '',
]

function draw(random: SeededRandom, form: Form): Attempt {
  const kind = random.pick(kinds)
  const leave = leaving(random)
  const good = (): string => random.pick(form.good)
  const of = (...lines: readonly (string | Uint8Array)[]): Attempt => {
    const parts = lines.flatMap((line) => [Buffer.from(line as string), newline])
    return { kind, leave, bytes: Buffer.concat(parts) }
  }
  switch (kind) {
    case 'mutated': {
      const lines = form.good.map((line) => Buffer.from(`${line}\n`))
      return of(mutated(random, Buffer.concat([random.pick(lines), random.pick(lines)]), lines), good())
    }
    case 'good':
      return of(...Array.from({ length: 1 + random.below(200) }, good))
    case 'long':
      return of(good(), form.line('x'.repeat(maxLineBytes - 40 + random.below(80)), '1', '1400000000', []), good())
    case 'tags': {
      const tags = Array.from({ length: random.below(1_500) }, (_, n) => `${n}=`)
      return of(
        good(),
        form.line(
          'a',
          '1',
          '1400000000',
          tags.map((tag) => `${tag}x`),
        ),
        good(),
      )
    }
    case 'bytes': {
      const bytes = Buffer.alloc(1 + random.below(maxLineBytes - 60), 0xff)
      const [before, after] = form.line('a', '1', '1400000000', [`a=|`]).split('|')
      return of(good(), Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]), good())
    }
    case 'numbers':
      return of(form.line('a', random.pick(numbers), random.pick(numbers), [`ttl=${random.pick(numbers)}`]), good())
    case 'noise':
      return of(noise(random, random.below(3_000)))
    case 'stranger': {
      const [stranger, bytes] = random.pick(strangers)
      return { kind: `${kind}: ${stranger}`, leave, bytes }
    }
    case 'ends':
      return {
        kind,
        leave,
        bytes: Buffer.alloc(1 + random.below(5_000), random.pick(['\n', '\r\n', ' \n', '\0\n', 'x\n'])),
      }
  }
}

const newline = Buffer.from('\n')

export function graphiteTarget(port: number): Target {
  return {
    name: 'graphite',
    draw: (random) => draw(random, graphite),
    open: (_attempt, random) => openPlain(port, random),
    judge: (_attempt, reply) => (reply.length === 0 ? undefined : 'it answered'),
    grows: ['ricci_intake_malformed_total{transport="graphite"}', 'ricci_intake_events_total{transport="graphite"}'],
  }
}

export function openTsdbTarget(port: number): Target {
  return {
    name: 'opentsdb',
    draw: (random) => draw(random, openTsdb),
    open: (_attempt, random) => openPlain(port, random),
    judge: judgeComplaints,
    grows: ['ricci_intake_malformed_total{transport="opentsdb"}', 'ricci_intake_events_total{transport="opentsdb"}'],
  }
}

/** Every line that begins with another word has its complaint, and nothing else is said. */
function judgeComplaints({ bytes }: Attempt, reply: Buffer): string | undefined {
  const said = reply.toString('utf8')
  const known = /^(?:put: illegal argument: [^\n]*|net\.opentsdb|Built on \(ricci\))$/
  const strange = said.split('\n').find((line) => line !== '' && !known.test(line))
  if (strange !== undefined) return `it answered ${JSON.stringify(strange.slice(0, 200))}`
  const lines = Buffer.from(bytes).toString('utf8').split('\n')
  const due = lines.filter((line) => !/^(?:put|version)[ \t\v\f\r]|^version$|^\s*$/.test(line)).length
  const complaints = said.split('\n').filter((line) => line.startsWith('put: ')).length
  return complaints >= due ? undefined : `${complaints} complaints came, ${due} were due`
}
