/** What `ricci init` writes: a configuration, rules, a test of them, and what an editor needs to complete and check them. */
import { rulesCompilerOptions } from '../rules/compiler-options.ts'

const config = `# A Ricci server: ricci serve --config ricci.yaml
# Every key has a default, and those are good; docs/configuration.md lists them. "ricci check" says what is wrong here.

# The log and its snapshots. A server under systemd has /var/lib/ricci.
data: data

# What watches, decides and pages: TypeScript, in rules/index.ts.
rules: rules

# Riemann's clients and agents send to 5555, people and programs ask at 5556. Only this machine may, until you say otherwise.
listen:
  tcp: 127.0.0.1:5555
  udp: 127.0.0.1:5555
  http: 127.0.0.1:5556

# Who can be paged, by the names that rules use. "console" is always there: the server prints such pages.
# Take the marks away, put the key into the environment, and write { to: 'oncall' } in the rules.
#
# receivers:
#   oncall:
#     type: pagerduty
#     routingKey: { env: PAGERDUTY_ROUTING_KEY }
`

const rules = `// Rules: what happens to each event that comes. Each stream below is given all events; what is nested in it, those that it passes on.
// Save, then: ricci check, and on a server that runs: ricci rules reload. Your editor completes the words and checks them.
import { by, incident, index, rules, stable, where } from 'ricci'

export default rules(
  // Keeps the newest event of each host and service, until its ttl has passed: ricci query 'service = "cpu"' finds it.
  index(),

  // A host whose CPU stays above 90 % for half a minute is an incident; one that stays below for as long ends it.
  where(
    'service = "cpu"',
    by('host', stable(30, (event) => event.metric > 0.9, incident('cpu-high', { bad: 'metric > 0.9', to: 'console' }))),
  ),

  // Every agent says each second how long its host has been up. When that expires, nothing is heard from the host any more.
  where('service = "uptime"', incident('host-silent', { bad: 'state = "expired"', key: 'host', to: 'console' })),
)
`

const test = `// Tests of the rules: seconds pass when a test says so. "ricci test" runs them, and so does every switch of rules before it.
import { expect, test } from 'ricci/test'

test('a host that stays busy for half a minute pages, and says so when it is over', (run) => {
  const cpu = (metric: number): void => run.send({ host: 'web-1', service: 'cpu', metric, ttl: 60 })
  cpu(0.95)
  run.pass(29)
  expect(run.pages, [])
  run.pass(1)
  expect(run.pages, [{ action: 'trigger', rule: 'cpu-high', host: 'web-1', to: 'console' }])
  cpu(0.4)
  run.pass(30)
  expect(
    run.pages.map((page) => page.action),
    ['trigger', 'resolve'],
  )
})

test('a host that falls silent pages', (run) => {
  run.send({ host: 'web-1', service: 'uptime', metric: 12, ttl: 5 })
  run.pass(6)
  expect(run.pages, [{ action: 'trigger', rule: 'host-silent', host: 'web-1' }])
})
`

/** Where declarations are copied to, so that rules need no install: of this machine, written by \`ricci init\`, and anew by the next one. */
export const typesFolder = '.ricci/types'

const ignored = `# The server's log, and the declarations that ricci init copies.
data/
.ricci/
`

/** Where the words of rules are declared: by their names, paths from the new folder or absolute ones. */
export interface StartTypes {
  readonly paths: Readonly<Record<string, string>>
  /** Compiler options that they need besides. */
  readonly options: Readonly<Record<string, unknown>>
}

/** The files of a start by their paths. The compiler's options are those that rules are checked with. */
export function startFiles({ paths, options }: StartTypes): Readonly<Record<string, string>> {
  const tsconfig = {
    compilerOptions: {
      target: 'es2022',
      module: 'esnext',
      moduleResolution: 'bundler',
      // the language, and nothing of Node or the web: rules are given neither
      lib: ['es2022'],
      ...rulesCompilerOptions,
      paths: Object.fromEntries(Object.entries(paths).map(([word, path]) => [word, [path]])),
      ...options,
    },
    include: ['rules'],
  }
  return {
    'ricci.yaml': config,
    'rules/index.ts': rules,
    'rules/index.test.ts': test,
    'tsconfig.json': `${JSON.stringify(tsconfig, null, 2)}\n`,
    '.gitignore': ignored,
  }
}
