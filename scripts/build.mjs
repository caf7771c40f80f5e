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
