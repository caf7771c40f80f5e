// `npm run package`: builds what is published into .build/packages: a folder per package as npm gets it, and its tarball.
// A published package holds bundled ESM, declarations, README and LICENSE; no sources, and no `ricci-source` condition, which is
// how the workspaces find each other's sources and would point into nothing.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstalled, npm, root } from './install.mjs'
import { electEntries, productEntries } from './product.mjs'

const packed = join(root, '.build/packages')

/** The published packages, those that others depend on first, with the files they are bundled from. */
const entries = {
  client: { index: 'packages/client/src/index.ts' },
  election: {
    index: 'packages/election/src/index.ts',
    compat: 'packages/election/src/compat.ts',
    cli: 'packages/election/src/cli/elect.ts',
    ...electEntries,
  },
  engine: {
    index: 'packages/engine/src/index.ts',
    vocabulary: 'packages/engine/src/streams/vocabulary.ts',
    records: 'packages/engine/src/records.ts',
  },
  replica: {
    index: 'packages/replica/src/index.ts',
    errors: 'packages/replica/src/errors.ts',
    'partition-of': 'packages/replica/src/partition-of.ts',
  },
  ricci: {
    index: 'packages/ricci/src/index.ts',
    embedded: 'packages/ricci/src/embedded.ts',
    cluster: 'packages/ricci/src/cluster.ts',
    test: 'packages/ricci/src/test.ts',
  },
}

/** Builds and packs every published package. */
async function buildPackages() {
  const { bundle, bundleProgram, externalNames } = await import('./build.mjs')
  rmSync(packed, { recursive: true, force: true })
  mkdirSync(packed, { recursive: true })
  declarations()
  for (const [name, files] of Object.entries(entries)) {
    const source = join(root, 'packages', name)
    const target = join(packed, name)
    await bundle(files, join(target, 'dist'), { sourcemap: false, plugins: [externalNames] })
    if (name === 'ricci') {
      const { metafile } = await bundleProgram(productEntries, join(target, 'dist'), {
        sourcemap: false,
        metafile: true,
      })
      writeFileSync(join(target, 'THIRD-PARTY.txt'), licences(Object.keys(metafile.inputs)))
    }
    cpSync(join(packed, 'types', name, 'src'), join(target, 'dist'), { recursive: true })
    if (existsSync(join(source, 'systemd')))
      cpSync(join(source, 'systemd'), join(target, 'systemd'), { recursive: true })
    cpSync(join(source, 'README.md'), join(target, 'README.md'))
    cpSync(join(root, 'LICENSE'), join(target, 'LICENSE'))
    const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
    for (const conditions of Object.values(manifest.exports)) delete conditions['ricci-source']
    writeFileSync(join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    must(npm(['pack', '--silent', '--pack-destination', packed], { cwd: target }), `npm pack of ${name}`)
  }
}

/** Writes the declarations of all packages: types/<package>/src/…. */
function declarations() {
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      rewriteRelativeImportExtensions: true,
      stripInternal: true,
      rootDir: join(root, 'packages'),
      outDir: join(packed, 'types'),
      typeRoots: [join(root, 'node_modules/@types')],
    },
    include: Object.keys(entries).map((name) => join(root, `packages/${name}/src/**/*.ts`)),
    exclude: [join(root, 'packages/*/src/**/*.test.ts')],
  }
  const file = join(packed, 'tsconfig.json')
  writeFileSync(file, JSON.stringify(config))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  must(spawnSync(process.execPath, [tsc, '-p', file], { cwd: root, stdio: 'inherit' }), 'The build of the declarations')
}

/** What the makers of bundled packages ask for: their licences. */
function licences(files) {
  const inPackage = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//
  const folders = new Set(files.flatMap((file) => inPackage.exec(file)?.[1] ?? []))
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
    const [file] = readdirSync(join(root, folder)).filter((one) => /^licen[cs]e/i.test(one))
    const text = file === undefined ? '' : `\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`
    return `${name} ${version}: ${license}\n${text}`
  })
  return `The programs in dist hold these packages.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`
}

/** Runs a command whose messages are the user's to read; throws when it fails. */
function must(run, what) {
  if (run.status !== 0) throw new Error(`${what} failed; its message is above.`)
}

ensureInstalled('all')
await buildPackages()
