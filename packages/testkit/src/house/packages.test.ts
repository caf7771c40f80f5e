// What is published: built, packed, installed into an empty folder, imported there on the oldest Node that is promised and on the
// recommended one, and compiled against by a program that sees nothing but the installed declarations. What a README begins with is run.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { Guide } from '../clients/guide.ts'
import { ConsulCluster } from '../servers/consul.ts'
import { without } from '../servers/program.ts'
import { nodeTool } from './tools.ts'

/** The floor of `engines`, and the recommendation. */
const oldestNode = '20.19.6'
const recommendedNode = '24.21.0'

const names = {
  client: '@ricci/client',
  election: '@ricci/election',
  engine: '@ricci/engine',
  replica: '@ricci/replica',
  ricci: 'ricci',
}
type Package = keyof typeof names
const all = Object.keys(names) as Package[]

const packed = resolve('.build/packages')
const tarball = (name: Package): string =>
  join(packed, `${names[name].replace('@', '').replace('/', '-')}-${version}.tgz`)
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

/** What programs import from each: the package's name and those of its subpaths. */
const importsOf = (name: Package): string[] => {
  const { exports } = JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8')) as { exports: object }
  return Object.keys(exports).map((path) => join(names[name], path))
}

/** A program that imports a package by each of its names and prints what it exports. */
const importer = (name: Package): string =>
  `const modules = await Promise.all(${JSON.stringify(importsOf(name))}.map((name) => import(name)));
   console.log(JSON.stringify(modules.map((module) => Object.keys(module))))`

/** What tells `elect` where to elect, and what for. */
const envOf = ({ agents }: ConsulCluster): NodeJS.ProcessEnv => ({
  ELECT_STORE: agents[0].url.replace('http:', 'consul:'),
  ELECT_NAME: 'batch',
})

/** npm's own output on errors is in the error that this throws. */
function npm(args: string[], cwd: string): void {
  const common = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline', '--ignore-scripts']
  execFileSync('npm', [...args, ...common], { cwd, stdio: 'pipe' })
}

describe('published packages', () => {
  const folders = new Map<string, string>()
  /** A folder with nothing but these packages in it, installed from their tarballs, once for all tests that want the same. */
  function folderWith(...packages: Package[]): string {
    const there = folders.get(packages.join())
    if (there !== undefined) return there
    const folder = mkdtempSync(join(tmpdir(), 'ricci-package-'))
    folders.set(packages.join(), folder)
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
    npm(['install', ...packages.map(tarball)], folder)
    return folder
  }

  before(() => {
    execFileSync(process.execPath, ['scripts/package.mjs'], { stdio: ['ignore', 'pipe', 'pipe'] })
  })
  after(() => {
    for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true })
  })

  const exportsOf = (folder: string, name: Package, node: string): string[][] => {
    const output = execFileSync(node, ['--input-type=module', '-e', importer(name)], { cwd: folder, encoding: 'utf8' })
    return JSON.parse(output) as string[][]
  }

  for (const name of all)
    it(`${name}: the tarball holds what it should and nothing else`, () => {
      const files = execFileSync('tar', ['-tzf', tarball(name)], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .map((file) => file.replace('package/', ''))
      for (const file of ['README.md', 'LICENSE', 'package.json', 'dist/index.mjs', 'dist/index.d.ts'])
        assert.ok(files.includes(file), `${file} is missing`)
      const expected =
        /^(README\.md|LICENSE|THIRD-PARTY\.txt|package\.json|dist\/.+\.(mjs|d\.ts)|systemd\/.+\.service)$/
      assert.deepEqual(
        files.filter((file) => !expected.test(file) || file.includes('.test.')),
        [],
      )
      const manifest = readFileSync(join(packed, name, 'package.json'), 'utf8')
      assert.doesNotMatch(manifest, /ricci-source/)
    })

  it('the operators’ tables of cases stay at home: each is called @__PURE__, so that bundles leave it out', () => {
    const modules = all.flatMap((name) =>
      readdirSync(join(packed, name, 'dist'))
        .filter((file) => file.endsWith('.mjs'))
        .map((file) => join(packed, name, 'dist', file)),
    )
    assert.ok(modules.length >= all.length)
    assert.deepEqual(
      modules.filter((file) => /\bcasesOf\b/.test(readFileSync(file, 'utf8'))),
      [],
    )
  })

  for (const name of ['client', 'election'] as const)
    it(`${name} alone: installs nothing else`, () => {
      const folder = folderWith(name)
      const installed = readdirSync(join(folder, 'node_modules')).filter((entry) => !entry.startsWith('.'))
      assert.deepEqual(installed, ['@ricci'])
      assert.deepEqual(readdirSync(join(folder, 'node_modules/@ricci')), [name])
      assert.ok(exportsOf(folder, name, process.execPath).every((names) => names.length > 0))
    })

  for (const [node, packages] of [
    [oldestNode, all],
    [recommendedNode, ['client', 'engine']],
    [oldestNode, ['election']],
    [recommendedNode, ['election']],
  ] as [string, Package[]][])
    it(`imports on Node ${node}: ${packages.join(', ')}`, (context) => {
      const tool = nodeTool(node)
      if ('missing' in tool) return context.skip(tool.missing)
      const folder = folderWith(...packages)
      for (const name of packages) {
        const here = exportsOf(folder, name, process.execPath)
        assert.deepEqual(exportsOf(folder, name, tool.command), here)
      }
    })

  /** What the compiler says of a program in a folder, where it finds Node's types and what is installed. */
  const compile = (folder: string, ...files: string[]): string => {
    const options = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node']
    const types = ['--typeRoots', resolve('node_modules/@types')]
    try {
      return execFileSync(
        process.execPath,
        [resolve('node_modules/typescript/bin/tsc'), ...options, ...types, ...files],
        {
          cwd: folder,
          encoding: 'utf8',
        },
      )
    } catch (error) {
      return (error as { stdout: string }).stdout
    }
  }

  it('declarations: a program compiles against them, and a wrong one does not', () => {
    const folder = folderWith(...all)
    const program = `
      import type { Event } from '@ricci/client'
      import { EngineError, type Engine } from '@ricci/engine'
      import type { LogPort } from '@ricci/replica'
      import { index, rules } from 'ricci'
      import { EmbeddedLog } from 'ricci/embedded'
      export const event: Event = { host: 'a', service: 'b' }
      export const failed = (error: unknown): boolean => error instanceof EngineError && error.code.length > 0
      export type Both = [Engine, LogPort]
      export const open = EmbeddedLog.open
      export default rules(index())
    `
    writeFileSync(join(folder, 'good.ts'), program)
    writeFileSync(join(folder, 'wrong.ts'), `${program}\nexport const wrong: Event = { host: 5 }\n`)
    writeFileSync(
      join(folder, 'rules.ts'),
      `import { EmbeddedLog } from 'ricci'\nexport const open = EmbeddedLog.open\n`,
    )
    assert.equal(compile(folder, 'good.ts'), '')
    assert.match(
      compile(folder, 'wrong.ts'),
      /^wrong\.ts\(\d+,\d+\): error TS2322: Type 'number' is not assignable to type 'string/,
    )
    assert.match(compile(folder, 'rules.ts'), /has no exported member 'EmbeddedLog'/)
  })
  it('election’s declarations: a program compiles without the types of pg, and wrong ones do not', () => {
    const folder = folderWith('election')
    const program = `
      import { consul, Election, ElectionError, ElectionGroup, etcd, memory, postgres } from '@ricci/election'
      import type { Gate, LeaseStore, Leadership, Member, Term } from '@ricci/election'
      import { leaderElection } from '@ricci/election/compat'
      const stores: LeaseStore[] = [consul('http://127.0.0.1:8500'), etcd({ user: 'a', password: 'b' }), memory()]
      stores.push(postgres({ url: 'postgres://localhost/x', password: async () => 'secret', tls: { ca: 'pem' } }))
      export const election = new Election({ name: 'a', store: stores[0], lease: '500ms', onOverrun: 'exit' })
      export const group: ElectionGroup = election.group
      export const candidate = group.candidate('b', { holdBackMs: 100 })
      election.on('elected', (term) => term.token + 1n).on('warning', ({ code }) => code === 'SLOW')
      group.on('members', (members: readonly Member[]) => members.length)
      const gate: Gate = 'journal'
      export const sent: Promise<string> = election.lead((term: Term) => term.act('id', async (token) => String(token), { gate }))
      export const states: AsyncIterable<Leadership> = election
      export const coded = (error: unknown): boolean => error instanceof ElectionError && error.code === 'OVERRUN'
      leaderElection({ key: 'a/b' }).on('gainedLeadership', (session: string) => session.length)
    `
    const wrong: [line: string, said: RegExp][] = [
      [`new Election({ name: 'a' })`, /Property 'store' is missing/],
      [`new Election({ name: 'a', store: stores[0], lease: 'soon' })`, /'"soon"' is not assignable/],
      [`election.on('electd', () => undefined)`, /'"electd"' is not assignable/],
      [
        `election.lead((term) => term.act('id', (token: number) => token))`,
        /'bigint' is not assignable to type 'number'/,
      ],
    ]
    const files = wrong.map(([line], at) => [`wrong${at}.ts`, `${program}\n${line}\n`] as const)
    for (const [file, text] of [['good.ts', program] as const, ...files]) writeFileSync(join(folder, file), text)
    // One compiler for all of them: each takes seconds.
    const said = compile(folder, 'good.ts', ...files.map(([file]) => file)).split(/^(?=\S)/m)
    assert.deepEqual(
      said.map((text) => text.slice(0, text.indexOf('('))),
      files.map(([file]) => file),
      said.join(''),
    )
    for (const [at, [, expected]] of wrong.entries()) assert.match(said[at], expected)
  })

  it('install for a whole machine as the guide says, and check a configuration and its rules there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ricci-machine-'))
    try {
      const [packs, install] = new Guide().block('Start Ricci beside Riemann', 'sh', '--global').split('\n')
      assert.equal(packs, 'npm run -s package')
      const own = { audit: 'false', fund: 'false', ignore_scripts: 'true', loglevel: 'error', prefer_offline: 'true' }
      const settings = Object.entries({ ...own, prefix: folder }).map(([name, value]) => [`npm_config_${name}`, value])
      const env = { ...process.env, ...(Object.fromEntries(settings) as Record<string, string>) }
      execFileSync('bash', ['-c', install], { env, stdio: 'pipe' })
      mkdirSync(join(folder, 'rules'))
      writeFileSync(join(folder, 'rules/index.ts'), new Guide().block('Start Ricci beside Riemann', 'ts'))
      writeFileSync(join(folder, 'ricci.yaml'), 'data: data\n')
      const said = execFileSync(join(folder, 'bin/ricci'), ['check', 'ricci.yaml'], { cwd: folder, encoding: 'utf8' })
      assert.match(said, /rules: ok .*\n {2}types: right/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  describe('election’s README', { skip: without('consul') }, () => {
    let cluster: ConsulCluster
    const run = promisify(execFile)
    before(async () => {
      cluster = await ConsulCluster.start({ dev: true })
    })
    after(() => cluster.stop())

    for (const version of [oldestNode, recommendedNode]) {
      it(`begins with an example that elects on Node ${version}`, async (context) => {
        const tool = nodeTool(version)
        if ('missing' in tool) return context.skip(tool.missing)
        const folder = folderWith('election')
        const readme = readFileSync(join(folder, 'node_modules/@ricci/election/README.md'), 'utf8')
        const [, example] = /^```js\n([^]*?)^```$/m.exec(readme)!
        const address = 'http://127.0.0.1:8500'
        assert.ok(example.includes(address))
        writeFileSync(join(folder, 'report.mjs'), example.replace(address, cluster.agents[0].url))
        const start = (): Promise<{ stdout: string; stderr: string }> =>
          run(tool.command, ['report.mjs'], { cwd: folder })
        const outputs = await Promise.all([start(), start()])
        const tokens = outputs.map(({ stdout, stderr }) => {
          assert.equal(stderr, '')
          const [, token, pages] = /^elected, under token (\d+)$([^]*)/m.exec(stdout)!
          assert.deepEqual(
            pages.split('\n').filter((line) => line.startsWith('page')),
            ['page 1', 'page 2', 'page 3', 'page 4', 'page 5'],
          )
          return token
        })
        assert.notEqual(tokens[0], tokens[1])
      })

      it(`has a command that runs on Node ${version}`, async (context) => {
        const tool = nodeTool(version)
        if ('missing' in tool) return context.skip(tool.missing)
        const cwd = folderWith('election')
        const [command, env] = [join(cwd, 'node_modules/.bin/elect'), { ...process.env, ...envOf(cluster) }]
        const elect = (...args: string[]): Promise<{ stdout: string }> =>
          run(tool.command, [command, ...args], { cwd, env })
        assert.match((await elect('--help')).stdout, /^usage: elect --store STORE --name NAME /m)
        await assert.rejects(elect('status'), { code: 1, stdout: 'batch: nobody leads\n' })
        const print = [process.execPath, '-p', 'process.env.ELECT_TOKEN > 0']
        assert.equal((await elect('--profile', 'fast', '--', ...print)).stdout, 'true\n')
      })
    }

    it('has a command that says once what to install for PostgreSQL', async () => {
      const cwd = folderWith('election')
      const args = ['--store', 'postgres://u@127.0.0.1:1/d', '--name', 'batch', '--', 'true']
      await assert.rejects(run(join(cwd, 'node_modules/.bin/elect'), args, { cwd }), ({ code, stderr }) => {
        assert.deepEqual([code, stderr.match(/npm install pg/g)], [2, ['npm install pg']])
        return true
      })
    })

    it('has a command that npx finds', () => {
      const cwd = folderWith('election')
      assert.match(execFileSync('npx', ['--no', '--', 'elect', '--help'], { cwd, encoding: 'utf8' }), /^usage: elect /m)
    })
  })
})
