// The tiers of tests: what a file's path says about the time it may take and what it may disturb. The first match counts.

/**
 * `atOnce` is the number of files run at the same time (2 cores: a second file hides the first one's waiting; tests that
 * measure or kill processes run alone). `budgetMs` bounds the tier's time: a tier over it fails, so that the whole of `.ci/run`
 * stays below its 10 minutes. `fileMs` bounds a single file, so that a hang is named rather than waited for.
 */
export const tiers = [
  { name: 'faults', path: /[./-]faults?[./]|kill/, atOnce: 1, budgetMs: 180_000, fileMs: 170_000 },
  {
    name: 'servers',
    path: /packages\/ricci\/src\/(server|intake|http|cli|agent|receivers)\/|\/house\/(packages|riemann-client)\./,
    atOnce: 2,
    budgetMs: 150_000,
    fileMs: 140_000,
  },
  // Pure computing in one process each: two files fill two cores.
  { name: 'simulator', path: /\/simulator\/(simulator|mutations)\./, atOnce: 2, budgetMs: 180_000, fileMs: 170_000 },
  { name: 'fast', path: /./, atOnce: 2, budgetMs: 180_000, fileMs: 120_000 },
]

/** The tier of a test file. */
export const tierOf = (file) => tiers.find((tier) => tier.path.test(file))
