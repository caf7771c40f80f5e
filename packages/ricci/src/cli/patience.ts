import type { Clock } from '@ricci/replica'
import { nodeClock } from '../server/node-clock.ts'
import type { Surroundings } from './surroundings.ts'

/** What takes longer says what it is at. */
const firstWordMs = 2_000
/** And that it still is. */
const nextWordMs = 10_000

/** Waits for work; says on standard error what is done meanwhile, where that takes over two seconds. */
export async function withPatience<Result>(
  { complain }: Pick<Surroundings, 'complain'>,
  what: string,
  work: Promise<Result>,
  clock: Pick<Clock, 'setTimer' | 'monotonicMs'> = nodeClock,
): Promise<Result> {
  const beganMs = clock.monotonicMs()
  const say = (): void => {
    complain(`${what}; ${Math.round((clock.monotonicMs() - beganMs) / 1000)} s\n`)
    timer = clock.setTimer(nextWordMs, say)
  }
  let timer = clock.setTimer(firstWordMs, say)
  try {
    return await work
  } finally {
    timer.cancel()
  }
}
