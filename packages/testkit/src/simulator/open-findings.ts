/**
 * Seeds that fail and are not understood yet, with what is known: a batch leaves them out and says so, alone they run
 * (`npm run simulate -- --seeds 1 --first SEED --trace`). To be emptied.
 */
const lateAlarm =
  'with brokers or store in trouble a replica tells that nobody owns later than the oracle allows (20 to 21 s)'

export const openFindings: ReadonlyMap<number, string> = new Map([
  [913, lateAlarm],
  [
    957,
    'an instance that was suspended tells, when it wakes, that it cannot own: it has not heard yet that another was given the lease meanwhile',
  ],
  [
    1036,
    'a replica whose state was made to go astray owns before a checkpoint tells of it, and by design its hash then wins',
  ],
  [1594, lateAlarm],
  [1964, lateAlarm],
])
