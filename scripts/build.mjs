// esbuild settings shared by everything that turns our TypeScript into something Node runs.
import { join } from 'node:path'
import { root } from './install.mjs'

/** Bundles entry points for Node; workspace packages come from source, those from npm stay outside. */
export async function bundle(entryPoints, outdir, more = {}) {
  const { build } = await import('esbuild')
  return build({
    absWorkingDir: root,
    entryPoints,
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    splitting: true,
    sourcemap: true,
    packages: 'bundle',
    conditions: ['ricci-source'],
    outExtension: { '.js': '.mjs' },
    logLevel: 'warning',
    plugins: [externalPackages],
    ...more,
  })
}

/** What a program's bundle leaves to npm: what has binaries of its own or is large, and seldom asked for. */
const apart = ['esbuild', 'typescript', 'pg']

/**
 * Bundles programs with all that they import: to look up and load some three hundred files of npm packages takes twice the
 * processor time that the same code takes in one piece, and a server that starts takes it from what runs beside it.
 */
export async function bundleProgram(entryPoints, outdir, more = {}) {
  return bundle(entryPoints, outdir, {
    plugins: [],
    external: apart,
    // packages in CommonJS ask for Node's own modules in their way
    banner: {
      js: "import { createRequire as requireFor } from 'node:module'; const require = requireFor(import.meta.url)",
    },
    ...more,
  })
}

/** Gives tests fast-check with its seed set. */
export const seededProperties = {
  name: 'seeded-properties',
  setup(build) {
    const path = join(root, 'scripts/fast-check.mjs')
    build.onResolve({ filter: /^fast-check$/ }, ({ importer }) => (importer === path ? undefined : { path }))
  },
}

/** Leaves npm packages outside the bundle, takes our own workspaces in. */
export const externalPackages = {
  name: 'external-packages',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
      if (kind === 'entry-point' || /^(@ricci\/|ricci$|ricci\/)/.test(path)) return undefined
      return { path, external: true }
    })
  },
}

/** Leaves every package outside the bundle, ours too: published packages import one another by name. */
export const externalNames = {
  name: 'external-names',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' ? undefined : { path, external: true },
    )
  },
}
