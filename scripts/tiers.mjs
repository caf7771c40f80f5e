// The tiers of tests: what a file's path says about the time it may take and what it may disturb. The first match counts.

/**
 * `atOnce` is the number of files run at the same time (2 cores: a second file hides the first one's waiting; tests that
 * measure or kill processes run alone). `budgetMs` is the time the tier may take on a quiet machine of 2 cores, so that the whole of
 * `.ci/run` stays below its 30 minutes: a tier over it says so. `fileMs` ends a single file, so that a hang is named rather than
 * waited for; it leaves room for a machine ten times as busy.
 */
export const tiers = [
  { name: 'faults', path: /[./-]faults?[./]|kill/, atOnce: 1, budgetMs: 430_000, fileMs: 600_000 },
  {
    name: 'servers',
    path: /packages\/ricci\/src\/(server|intake|http|cli|agent|receivers)\/|\/house\/(packages|riemann-client)\.|\/testkit\/src\/(servers|clients)\/|\/election\/src\/(stores|cli)\/|\/log\/rabbitmq\/rabbit|\/bench\/bench\.|\/coordination\/stores\./,
    atOnce: 2,
    budgetMs: 450_000,
    fileMs: 600_000,
  },
  // Pure computing in one process each: two files fill two cores.
  {
    name: 'simulator',
    path: /\/(simulator\/(simulator|mutations)|election\/election-simulator)\./,
    atOnce: 2,
    budgetMs: 180_000,
    fileMs: 600_000,
  },
  { name: 'fast', path: /./, atOnce: 2, budgetMs: 180_000, fileMs: 600_000 },
]

/** The stores whose suite of elections must have run in CI, as they call themselves. */
export const electionStores = ['Consul', 'etcd', 'PostgreSQL', 'memory']

/** The tier of a test file. */
export const tierOf = (file) => tiers.find((tier) => tier.path.test(file))
