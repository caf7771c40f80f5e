// Builds the daemon and its worker into .build/product of the clone.
import { bundleProgram } from './build.mjs'
import { root } from './install.mjs'

/** The command `elect`, and the guard that it runs commands under. */
export const electEntries = {
  elect: 'packages/election/src/cli/main.ts',
  'elect-guard': 'packages/election/src/cli/guard.ts',
}

/** The processes that real faults are done to, or done beside. */
export const faultEntries = {
  'election-candidate': 'packages/testkit/src/election/faults/candidate.ts',
  'fault-load': 'packages/testkit/src/faults/cluster/load.ts',
}

/** What the daemon is bundled from: the command line, and the threads that it starts. */
export const productEntries = {
  ricci: 'packages/ricci/src/cli/main.ts',
  'engine-worker': 'packages/ricci/src/server/engine-worker.ts',
  'rules-worker': 'packages/ricci/src/rules/rules-worker.ts',
  'explain-worker': 'packages/ricci/src/explain/explain-worker.ts',
  'type-checker': 'packages/ricci/src/rules/type-checker.ts',
  // `ricci lead` is `elect`
  'elect-guard': electEntries['elect-guard'],
}

/** What the benchmarks start as processes of their own. */
export const benchEntries = {
  ...productEntries,
  'engine-process': 'packages/testkit/src/bench/engine-process.ts',
}

/** Bundles the command line and the threads it starts; gives the path of the command line's file. */
export async function buildProduct() {
  await bundleProgram(productEntries, '.build/product')
  return `${root}.build/product/ricci.mjs`
}
